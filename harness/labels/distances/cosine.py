"""Cosine distance from each image to its nearest neighbours: a directed graph, for clusterings of graphs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, PositiveInt

from harness.labels.distances.base import DistanceKind, Distances

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from harness.labels.neighbours import Neighbours


class Cosine(DistanceKind):
    """1 - cosine similarity, from each image to its k nearest."""

    kind: Literal["cosine"]
    k: PositiveInt = Field(description="neighbours, the image itself among them")

    symmetric: ClassVar[bool] = False

    @property
    def neighbours(self) -> int:
        return self.k

    def measure(self, features: Any, neighbours: Neighbours) -> Distances:
        return Distances(len(features), lambda reach: nearest_within(neighbours, reach))


def nearest_within(neighbours: Neighbours, reach: float) -> csr_matrix:
    """Return 1 - similarity, where at most `reach`, from each of N images to its neighbours: float32 CSR [N, N]."""
    import numpy as np
    from scipy.sparse import csr_matrix

    images = len(neighbours.indices)
    distance = 1 - neighbours.similarities
    near = distance <= reach
    start = np.concatenate([[0], np.cumsum(near.sum(1))])
    graph = csr_matrix((distance[near], neighbours.indices[near], start), shape=(images, images))
    graph.sort_indices()
    return graph
