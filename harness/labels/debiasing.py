"""Features and clusters that follow the individual and not the camera (Song, Park and Lee, ICLR 2025)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.labels.camera_neighbours import camera_numbers

if TYPE_CHECKING:
    from torch import Tensor

SMALLEST_DEVIATION = 1e-6
"""A standard deviation below this is rounding: the dimension, or the camera, says nothing."""


def normalize_per_camera(features: Tensor, cameras: Any) -> Tensor:
    """Return (f - mean) / standard deviation of the features [N, d] of each camera, per dimension, L2-normalized.

    The features stay on their device. `cameras` [N]: integers or names. Where all images of a camera are alike, as a
    single one is, the statistics are those of all cameras. The authors find them stable from 25 images per camera on.
    Raises UserError for cameras that are not one per image.
    """
    import torch

    numbers = camera_numbers(cameras, len(features))
    everywhere = _statistics(features)
    result = torch.empty_like(features)
    for camera in range(int(numbers.max()) + 1):
        mine = torch.from_numpy(np.flatnonzero(numbers == camera)).to(features.device)
        mean, deviation = _statistics(features[mine])
        if bool((deviation < SMALLEST_DEVIATION).all()):
            mean, deviation = everywhere
        result[mine] = (features[mine] - mean) / deviation.clamp(min=SMALLEST_DEVIATION)
    return torch.nn.functional.normalize(result, dim=1)


def _statistics(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation [d]; whether it is divided by N or N - 1 falls out in the L2-normalization."""
    return features.mean(0), features.std(0, correction=0)


def without_single_camera(labels: NDArray[np.int64], cameras: Any) -> NDArray[np.int64]:
    """Return labels [N] in which clusters whose images are all from one camera are outliers, renumbered without gaps.

    `cameras` [N]: integers or names. -1 stays. Raises UserError for cameras that are not one per image.
    """
    numbers = camera_numbers(cameras, len(labels))
    clusters = int(labels.max(initial=-1)) + 1
    kept = labels >= 0
    first, last = np.full(clusters, np.iinfo(np.int64).max), np.full(clusters, -1)
    np.minimum.at(first, labels[kept], numbers[kept])
    np.maximum.at(last, labels[kept], numbers[kept])
    several = first < last
    number = np.where(several, np.cumsum(several) - 1, -1)
    result = np.full(len(labels), -1, np.int64)
    result[kept] = number[labels[kept]]
    return result
