"""The distances that can be clustered, by kind. A new kind is a file here and its class in this table."""

from typing import Annotated

from pydantic import Field

from harness.labels.distances.ca_jaccard import CAJaccard
from harness.labels.distances.cosine import Cosine
from harness.labels.distances.jaccard import Jaccard
from harness.labels.distances.jaccard_reranking import RerankingJaccard

Distance = Annotated[Jaccard | RerankingJaccard | CAJaccard | Cosine, Field(discriminator="kind")]

__all__ = ["CAJaccard", "Cosine", "Distance", "Jaccard", "RerankingJaccard"]
