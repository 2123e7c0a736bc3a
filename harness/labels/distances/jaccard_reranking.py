"""k-reciprocal Jaccard distance of the re-ranking code, which MMT and SSKD cluster; see `harness/labels/jaccard.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from harness.labels.distances.base import DistanceKind, Distances

if TYPE_CHECKING:
    from harness.labels.neighbours import Neighbours


class RerankingJaccard(DistanceKind):
    """Jaccard distance whose weights fall with the distance relative to each image's farthest (Zhong et al., 2017).

    A zero that the additions left at some 1e-7 is no zero to its releases, and counts among their smallest distances.
    """

    kind: Literal["jaccard-reranking"]
    k1: PositiveInt = Field(description="neighbours besides the image itself")
    k2: PositiveInt = Field(description="neighbours averaged by query expansion, the image itself among them")

    symmetric: ClassVar[bool] = True

    @model_validator(mode="after")
    def _expansion_within_neighbours(self) -> RerankingJaccard:
        if self.k2 > self.neighbours:
            raise ValueError(
                f"k2 looks at {self.k2} neighbours, but k1 = {self.k1} finds {self.neighbours}, the image itself "
                "among them"
            )
        return self

    @property
    def neighbours(self) -> int:
        return self.k1 + 1

    def measure(self, features: Any, neighbours: Neighbours) -> Distances:
        from harness.labels.jaccard import farthest_distances, reranking_jaccard_distance
        from harness.matrix import as_matrix

        matrix, farthest = as_matrix(features, "features"), farthest_distances(features)
        return Distances(
            len(matrix),
            lambda reach: reranking_jaccard_distance(
                matrix, self.k1, self.k2, reach, neighbours=neighbours, farthest=farthest
            ),
            rounding=0,
        )
