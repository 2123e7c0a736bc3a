"""Hyper-parameters of pseudo-labels, shared by the methods that cluster."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt

from harness.specs.base import Frozen


class _Clustering(Frozen):
    k1: PositiveInt = Field(description="neighbours, the image itself among them")
    k2: PositiveInt = Field(description="neighbours averaged by query expansion")
    min_samples: PositiveInt = Field(description="DBSCAN: images within eps that make a core point, itself included")
    approximate_above: PositiveInt = Field(
        description="on a CPU, more images than this are searched by an approximate index (HNSW), its recall measured"
        " and recorded; on two cores an exact search is as fast up to some 300,000"
    )
    on_collapse: Literal["keep", "stop"] = Field(
        description="with fewer than two clusters: keep the last good labels, or stop the run"
    )


class Clustering(_Clustering):
    """DBSCAN on the Jaccard distance with a fixed radius."""

    eps: float = Field(gt=0, lt=1, description="DBSCAN radius on the Jaccard distance")


class DataDrivenClustering(_Clustering):
    """The same with MMT's radius: the mean of the smallest share of pairwise distances, fixed at the first epoch."""

    rho: float = Field(gt=0, lt=1, description="share of the smallest non-zero distances whose mean is eps")
