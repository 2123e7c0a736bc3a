"""Random transforms of a whole batch in one pass: flip, pad-crop, colour jitter, normalize, erase.

The random numbers are drawn on the host (a few per image), so a run draws the same ones on every device; the pixels are
transformed by a compiled loop on the CPU or by tensor operations on the GPU.
Published transforms: flip 0.5, pad 10 + crop, normalization, RandomErasing filled in normalized space.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import torch
from numba import njit
from torch import Tensor

from harness.learning.device import together_to_device
from harness.learning.normalization import IMAGENET, Normalization
from harness.specs.compute import Augment

ERASED = np.array(IMAGENET.mean, np.float32)
"""What erased pixels become after normalization, whatever it is: so all published code does."""
HIGH = np.float32(round(2**23 / 255) / 2**23)  # 1 / 255 in 16 bits …
LOW = np.float32(1 / 255 - float(HIGH))  # … and the rest
GREY = np.array([0.299, 0.587, 0.114], np.float32)
ERASED_AREA = (0.02, 0.4)
ERASED_ASPECT = (0.3, 1 / 0.3)
ERASE_TRIES = 20  # an erasing box misses the image in under one try of three: 20 misses never happen


@dataclass(frozen=True)
class Transforms:
    """The random numbers of one batch: each array has one row per image."""

    flip: npt.NDArray[np.bool_]
    offset: npt.NDArray[np.int64]  # [B, 2]: first row and column of the crop, relative to the unpadded image
    erase: npt.NDArray[np.int64]  # [B, 4]: top, left, height, width; height 0 = nothing erased
    factors: npt.NDArray[np.float32]  # [B, 3]: brightness, contrast, saturation; 1 = unchanged

    def of(self, rows: slice) -> Transforms:
        """Return the numbers of some of the images."""
        return Transforms(self.flip[rows], self.offset[rows], self.erase[rows], self.factors[rows])


def sample_transforms(augment: Augment, count: int, height: int, width: int, rng: np.random.Generator) -> Transforms:
    """Transforms the transforms of `count` images of size `height` × `width`, independently per image."""
    return Transforms(
        flip=rng.random(count) < augment.flip,
        offset=rng.integers(-augment.pad, augment.pad, size=(count, 2), endpoint=True),
        erase=_erasing_boxes(augment.erase, count, height, width, rng),
        factors=rng.uniform(1 - augment.jitter, 1 + augment.jitter, (count, 3)).astype(np.float32),
    )


def unchanged(count: int) -> Transforms:
    """Return the draw that only normalizes."""
    return Transforms(
        np.zeros(count, bool), np.zeros((count, 2), int), np.zeros((count, 4), int), np.ones((count, 3), np.float32)
    )


def _erasing_boxes(
    probability: float, count: int, height: int, width: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """RandomErasing: area U(0.02, 0.4), aspect U(0.3, 1/0.3), retried until the box is strictly inside."""
    erased = rng.random(count) < probability
    area = rng.uniform(*ERASED_AREA, (count, ERASE_TRIES)) * (height * width)
    aspect = rng.uniform(*ERASED_ASPECT, (count, ERASE_TRIES))
    box_height = np.round(np.sqrt(area * aspect)).astype(np.int64)
    box_width = np.round(np.sqrt(area / aspect)).astype(np.int64)
    fits = (box_height < height) & (box_width < width)
    first = fits.argmax(axis=1)
    rows = np.arange(count)
    tall, wide = box_height[rows, first], box_width[rows, first]
    top = np.floor(rng.random(count) * (height - tall + 1)).astype(np.int64)
    left = np.floor(rng.random(count) * (width - wide + 1)).astype(np.int64)
    boxes = np.stack([top, left, tall, wide], axis=1)
    boxes[~(erased & fits.any(axis=1))] = 0
    return boxes


def augmented(
    images: npt.NDArray[np.uint8],
    index: npt.NDArray[np.int64],
    drawn: Transforms,
    normalization: Normalization = IMAGENET,
) -> Tensor:
    """Return images[index], transformed: float32 [B, 3, H, W] in channels-last memory, on the CPU.

    images: uint8 [N, H, W, 3], memory-mapped or not; only the rows in `index` are read.
    """
    height, width, channels = images.shape[1:]
    out = np.empty((len(index), height, width * channels), np.float32)
    mean, std = (np.tile(np.array(values, np.float32), width) for values in normalization)
    erased = np.tile(ERASED, width)
    _augment(images, index, drawn.flip, drawn.offset, drawn.erase, drawn.factors, mean, std, erased, out)
    return torch.from_numpy(out).view(len(index), height, width, channels).permute(0, 3, 1, 2)


@dataclass(frozen=True)
class DeviceTransforms:
    """A `Transforms` on a device; no `factors` where all are 1."""

    flip: Tensor
    offset: Tensor
    erase: Tensor
    factors: Tensor | None


def send(
    index: npt.NDArray[np.int64], draws: Sequence[Transforms], device: torch.device
) -> tuple[Tensor, list[DeviceTransforms]]:
    """Return a batch's index and draws on the device, sent in one copy."""
    arrays: list[npt.NDArray[np.generic]] = [index]
    for drawn in draws:
        arrays += [drawn.flip, drawn.offset, drawn.erase]
        if (drawn.factors != 1).any():
            arrays.append(drawn.factors)
    where, *rest = together_to_device(arrays, device)
    parts, sent = iter(rest), []
    for drawn in draws:
        flip, offset, erase = next(parts), next(parts), next(parts)
        sent.append(DeviceTransforms(flip, offset, erase, next(parts) if (drawn.factors != 1).any() else None))
    return where, sent


@cache
def _constants(device: torch.device, normalization: Normalization) -> list[Tensor]:
    """Mean, standard deviation, ERASED and GREY on the device."""
    mean, std = (np.array(values, np.float32) for values in normalization)
    return together_to_device([mean, std, ERASED, GREY], device)


def augmented_on_device(
    images: Tensor, index: Tensor, drawn: DeviceTransforms, normalization: Normalization = IMAGENET
) -> Tensor:
    """The same as `augmented`, in tensor operations, for images that live on a device: uint8 [N, H, W, 3].

    index: int64 [B] on the same device. No host-device synchronization.
    """
    device, (_, height, width, _) = images.device, images.shape
    flip, offset, erase = drawn.flip, drawn.offset, drawn.erase
    mean, std, fill, grey = _constants(device, normalization)
    y = torch.arange(height, device=device) + offset[:, :1]
    x = torch.arange(width, device=device) + offset[:, 1:]
    x = torch.where(flip[:, None], width - 1 - x, x)
    inside = ((y >= 0) & (y < height))[:, :, None] & ((x >= 0) & (x < width))[:, None, :]
    rows, columns = y.clamp(0, height - 1)[:, :, None], x.clamp(0, width - 1)[:, None, :]
    pixels = torch.where(inside[..., None], images[index[:, None, None], rows, columns], 0).float()
    if drawn.factors is not None:
        pixels = _jittered(pixels, drawn.factors, grey)
    pixels = (pixels / 255 - mean) / std
    top, left, tall, wide = (erase[:, column, None] for column in range(4))
    y, x = torch.arange(height, device=device), torch.arange(width, device=device)
    erased = ((y >= top) & (y < top + tall))[:, :, None] & ((x >= left) & (x < left + wide))[:, None, :]
    return torch.where(erased[..., None], fill, pixels).permute(0, 3, 1, 2)


def _jittered(pixels: Tensor, factors: Tensor, grey_of: Tensor) -> Tensor:
    """What `_jitter` does, for float32 [B, H, W, 3]."""
    brightness, contrast, saturation = factors[:, :, None, None, None].unbind(1)
    pixels = pixels * brightness
    mean_grey = (pixels @ grey_of).mean(dim=(1, 2))[:, None, None, None]
    pixels = mean_grey + (pixels - mean_grey) * contrast
    grey = (pixels @ grey_of)[..., None]
    return (grey + (pixels - grey) * saturation).clamp(0, 255)


# Division as IEEE defines it, without Python's error for a zero divisor: only so do the loops over values vectorise.
_compiled = njit(cache=True, error_model="numpy")


@_compiled
def _augment(images, index, flip, offset, erase, factors, mean, std, erased, out):  # type: ignore[no-untyped-def]
    """out: [B, H, 3W]; mean, std, erased: [3W], the three channels over and over."""
    height, width = images.shape[1], images.shape[2]
    row = np.empty(3 * width, np.uint8)
    cropped, jittered = np.empty((height, width, 3), np.uint8), np.empty((height, width, 3), np.float32)
    for b in range(len(index)):
        image, dy, dx = images[index[b]].reshape(height, -1), offset[b, 0], offset[b, 1]
        brightness, contrast, saturation = factors[b, 0], factors[b, 1], factors[b, 2]
        if brightness == 1 and contrast == 1 and saturation == 1:
            for y in range(height):  # row by row: memory brings the next while this one is computed
                _crop_row(image, y + dy, dx, flip[b], row)
                _normalise_levels(row, mean, std, out[b, y])
        else:
            for y in range(height):
                _crop_row(image, y + dy, dx, flip[b], cropped[y].reshape(-1))
            _jitter(cropped, brightness, contrast, saturation, jittered)
            _normalize(jittered.reshape(height, -1), mean, std, out[b])
        top, left, tall, wide = erase[b, 0], erase[b, 1], erase[b, 2], erase[b, 3]
        for y in range(top, top + tall):
            out[b, y, 3 * left : 3 * (left + wide)] = erased[: 3 * wide]


@_compiled
def _crop_row(image, y, dx, flip, row):  # type: ignore[no-untyped-def]
    """Row y [3W] of `image` [H, 3W] from column dx on, black where it leaves the image, after the flip."""
    height, width = image.shape[0], image.shape[1] // 3
    row[:] = 0
    if 0 <= y < height:
        left = min(max(0, -dx), width)
        right = max(min(width, width - dx), left)  # columns left:right lie inside
        start = width - dx - right if flip else left + dx
        values, copies = image[y, 3 * start : 3 * (start + right - left)], row[3 * left : 3 * right]
        if flip:
            _copy_reversed(values, copies)
        else:
            for i in range(len(values)):
                copies[i] = values[i]


@_compiled
def _copy_reversed(pixels, copies):  # type: ignore[no-untyped-def]
    """Positions are unsigned: of signed ones Numba asks whether they count from the end, twelve times as slow."""
    one, two, three = np.uint64(1), np.uint64(2), np.uint64(3)
    count = np.uint64(len(pixels)) // three
    for x in range(count):
        here, there = three * x, three * (count - one - x)
        copies[here] = pixels[there]
        copies[here + one] = pixels[there + one]
        copies[here + two] = pixels[there + two]


@_compiled
def _jitter(cropped, brightness, contrast, saturation, jittered):  # type: ignore[no-untyped-def]
    """Brightness, contrast about the mean grey, saturation about each pixel's grey; cut off at 0 and 255 at the end."""
    height, width, _ = cropped.shape
    total = 0.0
    for y in range(height):
        for x in range(width):
            total += GREY[0] * cropped[y, x, 0] + GREY[1] * cropped[y, x, 1] + GREY[2] * cropped[y, x, 2]
    mean_grey = np.float32(brightness * total / (height * width))
    low, high = np.float32(0), np.float32(255)
    for y in range(height):
        for x in range(width):
            red = mean_grey + (cropped[y, x, 0] * brightness - mean_grey) * contrast
            green = mean_grey + (cropped[y, x, 1] * brightness - mean_grey) * contrast
            blue = mean_grey + (cropped[y, x, 2] * brightness - mean_grey) * contrast
            grey = GREY[0] * red + GREY[1] * green + GREY[2] * blue
            jittered[y, x, 0] = min(max(grey + (red - grey) * saturation, low), high)
            jittered[y, x, 1] = min(max(grey + (green - grey) * saturation, low), high)
            jittered[y, x, 2] = min(max(grey + (blue - grey) * saturation, low), high)


@_compiled
def _normalize(levels, mean, std, out):  # type: ignore[no-untyped-def]
    for y in range(len(out)):
        for i in range(len(mean)):
            out[y, i] = (np.float32(levels[y, i]) / np.float32(255) - mean[i]) / std[i]


@_compiled
def _normalise_levels(levels, mean, std, out):  # type: ignore[no-untyped-def]
    """The same for a row of uint8 levels, with one division: HIGH · level is exact, so the sum is level / 255."""
    for i in range(len(mean)):
        level = np.float32(levels[i])
        out[i] = (HIGH * level + LOW * level - mean[i]) / std[i]
