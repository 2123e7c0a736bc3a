"""Random transforms of a whole batch in one pass: flip, pad-crop, colour jitter, normalise, erase.

The random numbers are drawn on the host (a few per image), so a run draws the same ones on every device; the pixels are
touched once, by a compiled loop on the CPU or by tensor operations on the GPU.
Published transforms: flip 0.5, pad 10 + crop, ImageNet normalisation, RandomErasing filled in normalised space.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from numba import njit
from torch import Tensor

from harness.specs.compute import Augment

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)
GREY = np.array([0.299, 0.587, 0.114], np.float32)
ERASED_AREA = (0.02, 0.4)
ERASED_ASPECT = (0.3, 1 / 0.3)
ERASE_TRIES = 20  # an erasing box misses the image in under one try of three: 20 misses never happen
NORMALISED = ((np.arange(256, dtype=np.float32)[:, None] / np.float32(255)) - MEAN) / STD
"""uint8 value, channel -> normalised float32."""


@dataclass(frozen=True)
class Draw:
    """The random numbers of one batch: each array has one row per image."""

    flip: npt.NDArray[np.bool_]
    offset: npt.NDArray[np.int64]  # [B, 2]: first row and column of the crop, relative to the unpadded image
    erase: npt.NDArray[np.int64]  # [B, 4]: top, left, height, width; height 0 = nothing erased
    factors: npt.NDArray[np.float32]  # [B, 3]: brightness, contrast, saturation; 1 = unchanged


def draw(augment: Augment, count: int, height: int, width: int, rng: np.random.Generator) -> Draw:
    """Draw the transforms of `count` images of size `height` × `width`, independently per image."""
    return Draw(
        flip=rng.random(count) < augment.flip,
        offset=rng.integers(-augment.pad, augment.pad, size=(count, 2), endpoint=True),
        erase=_erasing_boxes(augment.erase, count, height, width, rng),
        factors=rng.uniform(1 - augment.jitter, 1 + augment.jitter, (count, 3)).astype(np.float32),
    )


def unchanged(count: int) -> Draw:
    """Return the draw that only normalises."""
    return Draw(
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


def augmented(images: npt.NDArray[np.uint8], index: npt.NDArray[np.int64], drawn: Draw) -> Tensor:
    """Return images[index], transformed: float32 [B, 3, H, W] in channels-last memory, on the CPU.

    images: uint8 [N, H, W, 3], memory-mapped or not; only the rows in `index` are read.
    """
    out = np.empty((len(index), *images.shape[1:]), np.float32)
    _augment(images, index, drawn.flip, drawn.offset, drawn.erase, drawn.factors, NORMALISED, out)
    return torch.from_numpy(out).permute(0, 3, 1, 2)


def augmented_on_device(images: Tensor, index: npt.NDArray[np.int64], drawn: Draw) -> Tensor:
    """The same as `augmented`, in tensor operations, for images that live on a device: uint8 [N, H, W, 3]."""
    device, (_, height, width, _) = images.device, images.shape

    def put(array: npt.NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(device, non_blocking=True)

    offset, erase, factors = put(drawn.offset), put(drawn.erase), put(drawn.factors)
    y = torch.arange(height, device=device) + offset[:, :1]
    x = torch.arange(width, device=device) + offset[:, 1:]
    x = torch.where(put(drawn.flip)[:, None], width - 1 - x, x)
    inside = ((y >= 0) & (y < height))[:, :, None] & ((x >= 0) & (x < width))[:, None, :]
    rows, columns = y.clamp(0, height - 1)[:, :, None], x.clamp(0, width - 1)[:, None, :]
    pixels = images[put(index)[:, None, None], rows, columns].float()
    brightness, contrast, saturation = factors[:, 0], factors[:, 1], factors[:, 2]
    grey_of = torch.from_numpy(GREY).to(device)
    pixels = torch.where(inside[..., None], pixels, 0) * brightness[:, None, None, None]
    mean_grey = (pixels @ grey_of).mean(dim=(1, 2))[:, None, None, None]
    pixels = mean_grey + (pixels - mean_grey) * contrast[:, None, None, None]
    grey = (pixels @ grey_of)[..., None]
    pixels = (grey + (pixels - grey) * saturation[:, None, None, None]).clamp(0, 255)
    mean, std = torch.from_numpy(MEAN).to(device), torch.from_numpy(STD).to(device)
    pixels = (pixels / 255 - mean) / std
    top, left, tall, wide = (erase[:, column, None] for column in range(4))
    y, x = torch.arange(height, device=device), torch.arange(width, device=device)
    erased = ((y >= top) & (y < top + tall))[:, :, None] & ((x >= left) & (x < left + wide))[:, None, :]
    return torch.where(erased[..., None], mean, pixels).permute(0, 3, 1, 2)


@njit(cache=True)
def _augment(images, index, flip, offset, erase, factors, normalised, out):  # type: ignore[no-untyped-def]
    height, width = images.shape[1], images.shape[2]
    row = np.empty((width, 3), np.float32)
    for b in range(len(index)):
        source = images[index[b]]
        dy, dx = offset[b, 0], offset[b, 1]
        brightness, contrast, saturation = factors[b, 0], factors[b, 1], factors[b, 2]
        plain = brightness == 1 and contrast == 1 and saturation == 1
        mean_grey = np.float32(0)
        if not plain:
            total = 0.0
            for y in range(max(0, dy), min(height, height + dy)):
                for x in range(max(0, dx), min(width, width + dx)):
                    at = width - 1 - x if flip[b] else x
                    total += GREY[0] * source[y, at, 0] + GREY[1] * source[y, at, 1] + GREY[2] * source[y, at, 2]
            mean_grey = np.float32(brightness * total / (height * width))
        for y in range(height):
            from_y = y + dy
            for x in range(width):
                from_x = x + dx
                if 0 <= from_y < height and 0 <= from_x < width:
                    if flip[b]:
                        from_x = width - 1 - from_x
                    red, green, blue = source[from_y, from_x, 0], source[from_y, from_x, 1], source[from_y, from_x, 2]
                else:
                    red, green, blue = np.uint8(0), np.uint8(0), np.uint8(0)
                if plain:
                    out[b, y, x, 0] = normalised[red, 0]
                    out[b, y, x, 1] = normalised[green, 1]
                    out[b, y, x, 2] = normalised[blue, 2]
                else:
                    row[x, 0], row[x, 1], row[x, 2] = red, green, blue
            if not plain:
                for x in range(width):
                    grey = np.float32(0)
                    for c in range(3):
                        row[x, c] = mean_grey + (row[x, c] * brightness - mean_grey) * contrast
                        grey += GREY[c] * row[x, c]
                    for c in range(3):
                        value = min(max(grey + (row[x, c] - grey) * saturation, np.float32(0)), np.float32(255))
                        out[b, y, x, c] = (value / np.float32(255) - MEAN[c]) / STD[c]
        top, left, tall, wide = erase[b, 0], erase[b, 1], erase[b, 2], erase[b, 3]
        for y in range(top, top + tall):
            for x in range(left, left + wide):
                for c in range(3):
                    out[b, y, x, c] = MEAN[c]
