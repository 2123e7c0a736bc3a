"""Training images on their device, and the batches made of them. Unlabeled data has no identities, by type."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from harness.errors import UserError
from harness.learning import ranks
from harness.learning.augment import sample_transforms, unchanged
from harness.learning.device import to_device
from harness.learning.normalization import IMAGENET, Normalization
from harness.learning.pixels import choose_storage
from harness.specs.compute import Augment

Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class UnlabeledBatch:
    """Views of images of an unlabeled set, float32 [B, 3, H, W]; `index`: their positions in the set, int64 [B].

    On several devices the views are the device's share of the batch, and all else is of the whole batch.
    """

    views: tuple[Tensor, ...]
    index: Tensor


@dataclass(frozen=True)
class LabeledBatch:
    """Views of images of a labeled set, with their identities (int64 [B], 0 … classes - 1)."""

    views: tuple[Tensor, ...]
    index: Tensor
    ids: Tensor


class UnlabeledSet:
    """Images and cameras of a training split; whoever holds one cannot see an identity."""

    def __init__(
        self,
        images: npt.NDArray[np.uint8],
        cameras: Index,
        device: torch.device,
        normalization: Normalization = IMAGENET,
    ) -> None:
        self.images = images
        self._cameras = np.asarray(cameras, np.int64)
        self.cameras_used = False
        self.device = device
        self._pixels = choose_storage(images, device, normalization)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def cameras(self) -> Index:
        """The camera of every image, [N]. Whether a method asked for them is recorded: `cameras_used`."""
        self.cameras_used = True
        return self._cameras

    @property
    def known_cameras(self) -> Index:
        """The camera of every image, [N], for a method that is nothing without them.

        Raises UserError if the images come without cameras, or all from one.
        """
        if (self.cameras < 0).any():
            raise UserError("this method uses the camera of every image, and these come without")
        if (self.cameras == self.cameras[:1]).all():
            raise UserError("this method uses what differs between cameras, and all images come from one")
        return self.cameras

    def plain(self, index: Index) -> Tensor:
        """Return images[index], only normalized, float32 [B, 3, H, W] on the device."""
        return self._pixels.views(index, None, [unchanged(len(index))])[0][0]

    def plain_batches(self, index: Index, size: int) -> Iterator[Tensor]:
        """Yield images[index], only normalized, `size` at a time: float32 [B, 3, H, W] on the device."""
        parts = (index[start : start + size] for start in range(0, len(index), size))
        for part, rows in self._pixels.prefetched(parts):
            yield self._pixels.views(part, rows, [unchanged(len(part))])[0][0]

    def batches(
        self, indices: Iterator[Index], iterations: int, augment: Augment, rngs: Sequence[np.random.Generator]
    ) -> Iterator[UnlabeledBatch]:
        """Yield `iterations` batches for the index batches of a sampler, with one augmented view per random stream.

        Where the rows are read ahead of time, so are the sampler's numbers: its stream must be none of `rngs`.
        """
        _, height, width, _ = self.images.shape
        wholes: deque[Index] = deque()

        def shares() -> Iterator[Index]:
            for whole in islice(indices, iterations):
                wholes.append(whole)
                yield whole[ranks.share(len(whole))]

        for index, rows in self._pixels.prefetched(shares()):
            whole = wholes.popleft()
            draws = [
                sample_transforms(augment, len(whole), height, width, rng).of(ranks.share(len(whole))) for rng in rngs
            ]
            views, where = self._pixels.views(index, rows, draws)
            yield UnlabeledBatch(views, where if ranks.count() == 1 else to_device(whole, self.device))


class LabeledSet(UnlabeledSet):
    """A training split with identities, relabeled to 0 … classes - 1 in the order of their numbers."""

    def __init__(
        self,
        images: npt.NDArray[np.uint8],
        cameras: Index,
        ids: Index,
        device: torch.device,
        normalization: Normalization = IMAGENET,
    ) -> None:
        super().__init__(images, cameras, device, normalization)
        names, self.ids = np.unique(ids, return_inverse=True)
        self.classes = len(names)
        self._ids_on_device = to_device(self.ids, device)

    def labeled_batches(
        self, indices: Iterator[Index], iterations: int, augment: Augment, rngs: Sequence[np.random.Generator]
    ) -> Iterator[LabeledBatch]:
        """Yield `iterations` batches with their identities for the index batches of a sampler."""
        for batch in self.batches(indices, iterations, augment, rngs):
            yield LabeledBatch(batch.views, batch.index, self._ids_on_device[batch.index])
