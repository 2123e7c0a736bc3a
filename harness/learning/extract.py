"""From images to the features that are clustered and ranked: evaluation mode, no augmentation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import normalize

from harness.learning import ranks
from harness.learning.data import UnlabeledSet
from harness.learning.networks import ReidNetwork, build
from harness.learning.state import load_into
from harness.specs.compute import Compute, Network

BATCH = 256
Embedder = Callable[[UnlabeledSet], "Tensor | npt.NDArray[np.float32]"]
"""From images to L2-normalized features [N, d], float32, on any device."""


def features(network: ReidNetwork, images: UnlabeledSet, precision: str) -> Tensor:
    """Return L2-normalized neck features of all images, float32 [N, d] on the device; the mode is restored after.

    Several devices share the images, and all of them get all features, by the first one's BatchNorm statistics.
    """
    ranks.take_statistics_of_first([network])
    part = -(-len(images) // ranks.count())
    mine = np.arange(part * ranks.count())[ranks.share(part * ranks.count())].clip(max=len(images) - 1)
    return ranks.gathered(_features(network, images, mine, precision))[: len(images)]


@torch.no_grad()
def _features(network: ReidNetwork, images: UnlabeledSet, index: npt.NDArray[np.int64], precision: str) -> Tensor:
    """The features of images[index], computed by this process."""
    was_training = network.training
    network.eval()
    parts = []
    for batch in images.plain_batches(index, BATCH):
        with torch.autocast(batch.device.type, torch.bfloat16, enabled=precision == "bf16"):
            parts.append(network(batch).normalized)
    network.train(was_training)
    return torch.cat(parts)


def network_embedder(compute: Compute, tensors: Mapping[str, Tensor], device: torch.device) -> Embedder:
    """Return the evaluation function of a network whose tensors are given (those that `Algorithm.export` wrote)."""

    def embed(images: UnlabeledSet) -> Tensor:
        network = _evaluation_network(compute.network, device)
        load_into(network, tensors, "checkpoint")
        return _features(network, images, np.arange(len(images)), compute.precision)

    return embed


@lru_cache(maxsize=1)
def _evaluation_network(spec: Network, device: torch.device) -> ReidNetwork:
    """A network whose weights every evaluation replaces: it stays on its device between them."""
    return build(spec, 0, device)


def mean(parts: Sequence[Tensor]) -> Tensor:
    """Return the L2-normalized mean of several networks' features, each [N, d] (SSKD, MMT with DBSCAN)."""
    return normalize(torch.stack(list(parts)).mean(0), dim=1)
