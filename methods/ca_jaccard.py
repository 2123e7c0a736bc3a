"""Cluster Contrast on the camera-aware Jaccard distance.

Chen, Fan, Chen, Zhu, "CA-Jaccard: camera-aware Jaccard distance for person re-identification" (CVPR 2024). Images of
the same camera look alike, and crowd out those of the other cameras among an image's neighbours; so either kind gets a
list of its own. All else is Cluster Contrast; the first epoch averages over other neighbours than those after it.
"""

from __future__ import annotations

from pydantic import Field, PositiveInt

from harness.labels.distances import CAJaccard
from harness.specs.base import Frozen
from harness.specs.params import Labels
from methods.cluster_contrast import ClusterContrast


class CameraAwareLabels(Labels):
    """Pseudo-labels by the camera-aware distance."""

    distance: CAJaccard = Field(description="distance between images")


class Expansion(Frozen):
    """Over how many neighbours local expansion averages."""

    intra: PositiveInt = Field(description="neighbours of the same camera, the image itself among them")
    inter: PositiveInt = Field(description="neighbours of other cameras")


class CAJaccardContrast(ClusterContrast):
    """Cluster Contrast with another k2 in the first epoch."""

    class Params(ClusterContrast.Params):
        labels: CameraAwareLabels
        first_k2: Expansion = Field(description="k2_intra and k2_inter of the first epoch")

    params: Params

    def labels_in(self, epoch: int) -> Labels:
        labels, first = self.params.labels, self.params.first_k2
        if epoch > 0:
            return labels
        distance = labels.distance.model_copy(update={"k2_intra": first.intra, "k2_inter": first.inter})
        return labels.model_copy(update={"distance": distance})
