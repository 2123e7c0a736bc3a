"""Hyper-parameters that several methods share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from harness.labels.clusterings import Clustering
from harness.labels.distances import Distance
from harness.specs.base import Frozen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    Cameras = NDArray[np.int64]


class Labels(Frozen):
    """How pseudo-labels are made: which distance between images, and what clusters it."""

    distance: Distance = Field(description="distance between images")
    clustering: Clustering = Field(description="makes clusters of near images")

    @property
    def uses_cameras(self) -> bool:
        """Whether they cannot be made without the cameras of the images."""
        return self.distance.uses_cameras

    def compared(self, features: Tensor, cameras: Cameras | None) -> Tensor:
        """Return the features between which distances are taken, of all that the network gave [N, d]."""
        return features

    def kept(self, labels: NDArray[np.int64], cameras: Cameras | None) -> NDArray[np.int64]:
        """Return the labels that are trained on, of those that the clustering gave [N]."""
        return labels

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
