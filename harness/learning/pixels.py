"""Where a set's pixels live, and how a batch of them reaches the device augmented: no JPEG is decoded again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from harness.learning.augment import Transforms, augmented, augmented_on_device, send
from harness.learning.normalization import IMAGENET, Normalization

Images = npt.NDArray[np.uint8]
Index = npt.NDArray[np.int64]
Views = tuple[Tensor, ...]
Batch = tuple[Views, Tensor]

COPIED = 1024  # images that move to a GPU at a time


class PixelStorage(ABC):
    """Images [N, H, W, 3] of which rows are read, once for all views of a batch."""

    def __init__(self, images: Images, device: torch.device, normalization: Normalization = IMAGENET) -> None:
        self.images, self.device, self.normalization = images, device, normalization

    def rows(self, index: Index) -> Tensor | None:
        """Prefetch images[index] to host memory: uint8 [B, H, W, 3]; None if this storage does not prefetch."""
        return None

    @abstractmethod
    def views(self, index: Index, rows: Tensor | None, draws: Sequence[Transforms]) -> Batch:
        """Return one view of images[index] per draw, float32 [B, 3, H, W], and the index, all on the device.

        `rows` as `rows` gave them.
        """

    def prefetched(self, indices: Iterator[Index]) -> Iterator[tuple[Index, Tensor | None]]:
        """Yield each index batch with its rows."""
        for index in indices:
            yield index, self.rows(index)


class Mapped(PixelStorage):
    """On a CPU: the compiled loop reads the memory-mapped file."""

    def views(self, index: Index, rows: Tensor | None, draws: Sequence[Transforms]) -> Batch:
        views = tuple(augmented(self.images, index, drawn, self.normalization) for drawn in draws)
        return views, torch.from_numpy(index)


class Resident(PixelStorage):
    """On a GPU that holds all images."""

    def __init__(self, images: Images, device: torch.device, normalization: Normalization = IMAGENET) -> None:
        super().__init__(images, device, normalization)
        self._on_device = torch.empty(images.shape, dtype=torch.uint8, device=device)
        for start in range(0, len(images), COPIED):  # a copy of a part: torch takes no read-only array
            part = slice(start, start + COPIED)
            self._on_device[part] = torch.from_numpy(np.array(images[part]))

    def views(self, index: Index, rows: Tensor | None, draws: Sequence[Transforms]) -> Batch:
        where, sent = send(index, draws, self.device)
        return tuple(augmented_on_device(self._on_device, where, drawn, self.normalization) for drawn in sent), where


class Streamed(PixelStorage):
    """On a GPU that is too small: while it computes, a thread gathers the next batch's rows in pinned memory."""

    def rows(self, index: Index) -> Tensor:
        pinned = self.device.type == "cuda"
        gathered = torch.empty(len(index), *self.images.shape[1:], dtype=torch.uint8, pin_memory=pinned)
        np.take(self.images, index, axis=0, out=gathered.numpy(), mode="clip")
        return gathered

    def views(self, index: Index, rows: Tensor | None, draws: Sequence[Transforms]) -> Batch:
        pixels = (self.rows(index) if rows is None else rows).to(self.device, non_blocking=True)
        place = torch.arange(len(index), device=self.device)
        where, sent = send(index, draws, self.device)
        return tuple(augmented_on_device(pixels, place, drawn, self.normalization) for drawn in sent), where

    def prefetched(self, indices: Iterator[Index]) -> Iterator[tuple[Index, Tensor | None]]:
        batches = super().prefetched(indices)
        with ThreadPoolExecutor(1) as thread:
            waiting = thread.submit(next, batches, None)
            while (batch := waiting.result()) is not None:
                waiting = thread.submit(next, batches, None)
                yield batch


def choose_storage(images: Images, device: torch.device, normalization: Normalization = IMAGENET) -> PixelStorage:
    """Return the images where they are read fastest: on a GPU if they fit into half of its free memory."""
    if device.type == "cpu":
        return Mapped(images, device, normalization)
    if images.nbytes < torch.cuda.mem_get_info(device)[0] / 2:
        with suppress(torch.OutOfMemoryError):  # another process took the memory meanwhile
            return Resident(images, device, normalization)
    return Streamed(images, device, normalization)
