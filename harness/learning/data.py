"""Training images on their device, and the batches made of them. Unlabelled data has no identities, by type."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from harness.learning.augment import augmented, augmented_on_device, draw, unchanged
from harness.specs.compute import Augment

Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class UnlabelledBatch:
    """Views of images of an unlabelled set: `views` are float32 [B, 3, H, W], `index` their positions in the set."""

    views: tuple[Tensor, ...]
    index: Index


@dataclass(frozen=True)
class LabelledBatch:
    """Views of images of a labelled set, with their identities (int64 [B], 0 … classes - 1)."""

    views: tuple[Tensor, ...]
    index: Index
    ids: Tensor


def joined_views(batches: Sequence[UnlabelledBatch | LabelledBatch]) -> Tensor:
    """Return the first views of several batches as one: float32 [sum of B, 3, H, W] in channels-last memory."""
    return torch.cat([batch.views[0] for batch in batches])


class UnlabelledSet:
    """Images and cameras of a training split; whoever holds one cannot see an identity.

    On a GPU the images move to the device once if they fit into half of its free memory.
    """

    def __init__(self, images: npt.NDArray[np.uint8], cameras: Index, device: torch.device) -> None:
        self.images = images
        self.cameras = np.asarray(cameras, np.int64)
        self.device = device
        self._resident: Tensor | None = None
        if device.type == "cuda" and images.nbytes < torch.cuda.mem_get_info(device)[0] / 2:
            self._resident = torch.from_numpy(np.ascontiguousarray(images)).to(device)

    def __len__(self) -> int:
        return len(self.images)

    def views(self, index: Index, augment: Augment, rngs: Sequence[np.random.Generator]) -> tuple[Tensor, ...]:
        """Return one augmented view of images[index] per random stream, float32 [B, 3, H, W] on the device."""
        _, height, width, _ = self.images.shape
        draws = [draw(augment, len(index), height, width, rng) for rng in rngs]
        if self._resident is not None:
            return tuple(augmented_on_device(self._resident, index, drawn) for drawn in draws)
        return tuple(augmented(self.images, index, drawn).to(self.device) for drawn in draws)

    def plain(self, index: Index) -> Tensor:
        """Return images[index], only normalised, float32 [B, 3, H, W] on the device."""
        if self._resident is not None:
            return augmented_on_device(self._resident, index, unchanged(len(index)))
        return augmented(self.images, index, unchanged(len(index))).to(self.device)

    def batches(
        self, indices: Iterator[Index], iterations: int, augment: Augment, rngs: Sequence[np.random.Generator]
    ) -> Iterator[UnlabelledBatch]:
        """Yield `iterations` batches for the index batches of a sampler, with one view per random stream."""
        for index in islice(indices, iterations):
            yield UnlabelledBatch(self.views(index, augment, rngs), index)


class LabelledSet(UnlabelledSet):
    """A training split with identities, relabelled to 0 … classes - 1 in the order of their numbers."""

    def __init__(self, images: npt.NDArray[np.uint8], cameras: Index, ids: Index, device: torch.device) -> None:
        super().__init__(images, cameras, device)
        names, self.ids = np.unique(ids, return_inverse=True)
        self.classes = len(names)
        self._ids_on_device = torch.from_numpy(self.ids).to(device)

    def labelled_batches(
        self, indices: Iterator[Index], iterations: int, augment: Augment, rngs: Sequence[np.random.Generator]
    ) -> Iterator[LabelledBatch]:
        """Yield `iterations` batches with their identities for the index batches of a sampler."""
        for batch in self.batches(indices, iterations, augment, rngs):
            where = torch.from_numpy(batch.index).to(self.device)
            yield LabelledBatch(batch.views, batch.index, self._ids_on_device[where])
