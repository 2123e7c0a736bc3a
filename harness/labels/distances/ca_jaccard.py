"""Camera-aware Jaccard distance; computed in `harness/labels/ca_jaccard.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from harness.labels.distances.base import DistanceKind, Distances

if TYPE_CHECKING:
    from harness.labels.neighbours import Neighbours


class CAJaccard(DistanceKind):
    """Camera-aware Jaccard distance (Chen, Fan, Chen and Zhu, CVPR 2024)."""

    kind: Literal["ca-jaccard"]
    k1_intra: PositiveInt = Field(description="neighbours of the same camera, besides the image itself")
    k1_inter: PositiveInt = Field(description="neighbours of other cameras, less one")
    k2_intra: PositiveInt = Field(description="of the same camera, the image itself among them, averaged by expansion")
    k2_inter: PositiveInt = Field(description="of other cameras, averaged by expansion")

    symmetric: ClassVar[bool] = True
    uses_cameras: ClassVar[bool] = True

    @model_validator(mode="after")
    def _enough(self) -> CAJaccard:
        for name in ("intra", "inter"):
            k1, k2 = getattr(self, f"k1_{name}"), getattr(self, f"k2_{name}")
            if k2 > k1 + 1:
                raise ValueError(f"k2_{name} {k2} is more than the {k1 + 1} neighbours that k1_{name} {k1} looks at")
        return self

    @property
    def neighbours(self) -> int:
        return self.k1_intra + self.k1_inter + 2

    def search(self, features: Any, cameras: Any) -> Neighbours:
        from harness.labels.camera_neighbours import neighbours_by_camera

        return neighbours_by_camera(features, cameras, self.k1_intra + 1, self.k1_inter + 1)

    def measure(self, features: Any, neighbours: Neighbours) -> Distances:
        from harness.labels.ca_jaccard import ca_jaccard_distance

        k = (self.k1_intra, self.k1_inter, self.k2_intra, self.k2_inter)
        return Distances(
            len(features), lambda reach: ca_jaccard_distance(features, None, *k, reach, neighbours=neighbours)
        )
