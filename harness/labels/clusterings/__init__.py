"""The clusterings that make pseudo-labels, by kind. A new kind is a file here and its class in this table."""

from typing import Annotated

from pydantic import Field

from harness.labels.clusterings.dbscan import DBSCAN
from harness.labels.clusterings.dbscan_data_driven import DataDrivenDBSCAN
from harness.labels.clusterings.hdbscan import HDBSCAN
from harness.labels.clusterings.infomap import Infomap

Clustering = Annotated[DBSCAN | DataDrivenDBSCAN | HDBSCAN | Infomap, Field(discriminator="kind")]

__all__ = ["DBSCAN", "HDBSCAN", "Clustering", "DataDrivenDBSCAN", "Infomap"]
