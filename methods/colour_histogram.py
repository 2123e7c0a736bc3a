"""A canary without a network: joint colour histograms of horizontal stripes.

If a trained method does not beat this row clearly, the benchmark can be solved by colour alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from harness.learning.algorithm import Algorithm, Losses
from harness.specs.base import Frozen

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from harness.learning.extract import Embedder
    from harness.specs.compute import Compute

STRIPES = 6
LEVELS = 4
"""Levels per colour channel: 64 bins a stripe."""


class ColourHistogram(Algorithm):
    """Nothing to train, nothing to store."""

    class Params(Frozen):
        pass

    params: Params

    def build(self) -> None:
        pass

    def begin_epoch(self, epoch: int) -> Iterator[None]:
        return iter(())

    def step(self, batch: None) -> Losses:
        return {}

    def export(self) -> dict[str, Tensor]:
        return {}

    @classmethod
    def embedder(cls, compute: Compute, tensors: Mapping[str, Tensor], device: torch.device) -> Embedder:
        return lambda images: stripe_histograms(images.images)


def stripe_histograms(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """uint8 [N, H, W, 3] -> L2-normalized square roots of stripe-wise joint histograms, float32 [N, 384]."""
    features = np.empty((len(images), STRIPES * LEVELS**3), np.float32)
    for row, image in enumerate(images):
        bins = (image // (256 // LEVELS)).astype(np.int64) @ np.array([LEVELS**2, LEVELS, 1])
        stripes = np.array_split(bins, STRIPES)
        features[row] = np.concatenate([np.bincount(s.ravel(), minlength=LEVELS**3) for s in stripes])
    roots = np.sqrt(features)
    return np.asarray(roots / np.linalg.norm(roots, axis=1, keepdims=True), np.float32)
