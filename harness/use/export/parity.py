"""Whether an exported file is the model: the same features for the same crops, at several batch sizes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from harness.errors import UserError
from harness.matrix import Matrix
from harness.pipeline.records import Input
from harness.use.export.graph import Contract

BATCHES = (1, 2, 17)
"""A graph that took its batch for a constant is right at one size only."""
GRAIN = 8
"""Random crops are this coarse, so that a consumer's resizing loses as little as it does of real ones."""

Embed = Callable[[NDArray[np.uint8]], Matrix]


def as_embedder(run: Callable[[torch.Tensor], Matrix], contract: Contract, shown: Input, half: bool) -> Embed:
    """Return an exported file as a function from crops [N, H, W, 3] to L2-normalized features [N, d]."""

    def embed(pixels: NDArray[np.uint8]) -> Matrix:
        return run(contract.fed(pixels, shown, half))

    return embed


def worst_cosine(exported: Embed, original: Embed, shown: Input) -> float:
    """Return the lowest cosine between the two's features of random crops, over batches of 1, 2 and 17."""
    rng = np.random.default_rng(0)
    lowest = 1.0
    for size in BATCHES:
        crops = np.stack([_crop(rng, shown) for _ in range(size)])
        found, expected = exported(crops), original(crops)
        if found.shape != expected.shape:
            raise UserError(f"the exported file gives features {found.shape} for {size} crops, not {expected.shape}")
        lowest = min(lowest, float(np.einsum("nd,nd->n", found, expected).min()))
    return lowest


def _crop(rng: np.random.Generator, shown: Input) -> NDArray[np.uint8]:
    grains = rng.integers(0, 256, (max(2, shown.height // GRAIN), max(2, shown.width // GRAIN), 3), np.uint8)
    return np.asarray(Image.fromarray(grains).resize((shown.width, shown.height), Image.Resampling.BICUBIC))
