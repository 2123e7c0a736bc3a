"""k-reciprocal Jaccard distance, the field's usual one; computed in `harness/labels/jaccard.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, PositiveInt

from harness.labels.distances.base import DistanceKind, Distances

if TYPE_CHECKING:
    from harness.labels.neighbours import Neighbours


class Jaccard(DistanceKind):
    """k-reciprocal Jaccard distance (Zhong et al., CVPR 2017)."""

    kind: Literal["jaccard"]
    k1: PositiveInt = Field(description="neighbours, the image itself among them")
    k2: PositiveInt = Field(description="neighbours averaged by query expansion")

    symmetric: ClassVar[bool] = True

    @property
    def neighbours(self) -> int:
        return self.k1

    def measure(self, features: Any, neighbours: Neighbours) -> Distances:
        from harness.labels.jaccard import jaccard_distance
        from harness.matrix import as_matrix

        matrix = as_matrix(features, "features")
        return Distances(
            len(matrix), lambda reach: jaccard_distance(matrix, self.k1, self.k2, reach, neighbours=neighbours)
        )
