"""Cluster Contrast whose pseudo-labels do not follow the cameras.

Song, Park, Lee, "Exploring the camera bias of person re-identification" (ICLR 2025). Clusters of an unsupervised
network follow the camera more than individuals do. Two remedies, each a switch: distances are taken between features
normalized by mean and standard deviation of their camera; and a cluster that a single camera sees teaches nothing about
the others, so its images are left out. Memory, loss and all else are Cluster Contrast's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from harness.specs.params import Labels
from methods.cluster_contrast import ClusterContrast

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from harness.specs.params import Cameras


class DebiasedLabels(Labels):
    """Pseudo-labels kept from following the cameras."""

    normalize_per_camera: bool = Field(
        description="distances between features normalized by mean and standard deviation of their camera"
    )
    drop_single_camera: bool = Field(description="images of a cluster that only one camera sees become outliers")

    @property
    def uses_cameras(self) -> bool:
        return super().uses_cameras or self.normalize_per_camera or self.drop_single_camera

    def compared(self, features: Tensor, cameras: Cameras | None) -> Tensor:
        from harness.labels.debiasing import normalize_per_camera

        return normalize_per_camera(features, cameras) if self.normalize_per_camera else features

    def kept(self, labels: NDArray[np.int64], cameras: Cameras | None) -> NDArray[np.int64]:
        from harness.labels.debiasing import without_single_camera

        return without_single_camera(labels, cameras) if self.drop_single_camera else labels


class DebiasedClusterContrast(ClusterContrast):
    """With both switches off it is Cluster Contrast, bit for bit."""

    class Params(ClusterContrast.Params):
        labels: DebiasedLabels

    params: Params
