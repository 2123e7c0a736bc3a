"""Hyper-parameters that several methods share."""

from __future__ import annotations

from pydantic import Field, model_validator

from harness.labels.clusterings import Clustering
from harness.labels.distances import Distance
from harness.specs.base import Frozen


class Labels(Frozen):
    """How pseudo-labels are made: which distance between images, and what clusters it."""

    distance: Distance = Field(description="distance between images")
    clustering: Clustering = Field(description="makes clusters of near images")

    @model_validator(mode="after")
    def _fit(self) -> Labels:
        if self.clustering.needs_symmetric and not self.distance.symmetric:
            raise ValueError(
                f"clustering {self.clustering.kind!r} needs a distance that is the same in both directions, like "
                f"'jaccard', not {self.distance.kind!r}"
            )
        return self


class MultiSimilarity(Frozen):
    """Hyper-parameters of the multi-similarity loss (Wang et al., CVPR 2019)."""

    weight: float = Field(ge=0, description="weight in the total loss")
    threshold: float = Field(description="λ, on cosine similarity")
    margin: float = Field(ge=0, description="ε of pair mining")
    scale_positive: float = Field(gt=0, description="α")
    scale_negative: float = Field(gt=0, description="β")
