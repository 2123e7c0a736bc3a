"""From images to the features that are clustered and ranked: evaluation mode, no augmentation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import normalize

from harness.learning.data import UnlabeledSet
from harness.learning.networks import ReidNetwork, build
from harness.specs.compute import Compute

BATCH = 256
Embedder = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]


@torch.no_grad()
def features(network: ReidNetwork, images: UnlabeledSet, precision: str) -> Tensor:
    """Return L2-normalized neck features of all images, float32 [N, d] on the device; the mode is restored after."""
    was_training = network.training
    network.eval()
    parts = []
    for start in range(0, len(images), BATCH):
        batch = images.plain(np.arange(start, min(start + BATCH, len(images))))
        with torch.autocast(batch.device.type, torch.bfloat16, enabled=precision == "bf16"):
            parts.append(network(batch).normalized)
    network.train(was_training)
    return torch.cat(parts)


def network_embedder(compute: Compute, tensors: Mapping[str, Tensor], device: torch.device) -> Embedder:
    """Return the evaluation function of a network whose tensors are given (those that `Algorithm.export` wrote)."""
    network = build(compute.network, 0, device, tensors)

    def embed(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        unlabeled = UnlabeledSet(images, np.zeros(len(images), np.int64), device)
        return features(network, unlabeled, compute.precision).cpu().numpy()

    return embed


def mean(parts: Sequence[Tensor]) -> Tensor:
    """Return the L2-normalized mean of several networks' features, each [N, d] (SSKD, MMT with DBSCAN)."""
    return normalize(torch.stack(list(parts)).mean(0), dim=1)
