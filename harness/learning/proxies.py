"""Camera-aware proxies: what one cluster looks like to one camera (Wang et al., AAAI 2021)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from harness.labels.camera_neighbours import camera_numbers
from harness.learning.device import to_device


class Proxies(NamedTuple):
    """The proxies of an epoch, in the order of clusters, and of cameras within each."""

    of_image: Tensor
    """Each image's proxy, int64 [N]; -1 for an outlier."""
    clusters: Tensor
    """Each proxy's cluster, int64 [P]."""
    cameras: Tensor
    """Each proxy's camera, from 0, int64 [P]."""


def proxies_of(labels: npt.NDArray[np.int64], cameras: npt.NDArray[np.int64], device: torch.device) -> Proxies:
    """Part the images of each cluster (labels [N], -1 = outlier) by camera [N]."""
    numbers = camera_numbers(cameras, len(labels))
    kept = labels >= 0
    pairs, proxy = np.unique(np.stack([labels[kept], numbers[kept]], 1), axis=0, return_inverse=True)
    of_image = np.full(len(labels), -1, np.int64)
    of_image[kept] = proxy.reshape(-1)
    return Proxies(to_device(of_image, device), to_device(pairs[:, 0], device), to_device(pairs[:, 1], device))
