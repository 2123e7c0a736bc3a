"""Training batches: the memory-mapped cache and the one-pass augmentation, against the published per-image pipeline."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision import transforms

from benchmarks.measure import Outcome, measured
from harness.learning.augment import ERASED_AREA, ERASED_ASPECT, augmented, sample_transforms, unchanged
from harness.learning.normalization import IMAGENET
from harness.specs.compute import Augment

SIZES = {"small": 512, "large": 8_192}
BATCH = 64
STORED, FED = (128, 64), (256, 128)
PUBLISHED = Augment(flip=0.5, pad=10, erase=0.5, jitter=0)
UNCHANGED = Augment(flip=0, pad=0, erase=0, jitter=0)

Pixels = NDArray[np.uint8]


def run(size: str, repeats: int, with_reference: bool) -> Iterator[Outcome]:
    """Yield the outcome for `images` images of 128×64, fed at 256×128 with the published transforms, on one thread."""
    count = SIZES[size]
    files = jpegs(count, *STORED)
    cache = np.stack([np.asarray(decoded(file).resize(FED[::-1], Image.Resampling.BICUBIC)) for file in files])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for _ in from_cache(cache[:BATCH]):
            pass  # compile
        _, ours = measured(lambda: consume(from_cache(cache)), repeats)
        _, limit = measured(lambda: consume(written(count)), repeats)
        if not with_reference:
            yield Outcome("batches", f"{count:,} images", ours.seconds, ours.extra_gib, limit_s=limit.seconds)
            return
        _, slow = measured(lambda: consume(from_files(files)), repeats)
    finally:
        torch.set_num_threads(threads)
    rates = f"{count / ours.seconds:,.0f} images/s, PIL {count / slow.seconds:,.0f}"
    yield Outcome(
        "batches", f"{count:,} images", ours.seconds, ours.extra_gib, "PIL, image by image",
        slow.seconds, slow.extra_gib, limit.seconds,
        f"{rates}; without chance off by at most {_difference(cache[:BATCH], files[:BATCH]):.0e}",
    )  # fmt: skip


def _difference(cache: Pixels, files: list[bytes]) -> float:
    """Return the largest difference between both pipelines' tensors with random transforms off."""
    ours = augmented(cache, np.arange(len(cache)), unchanged(len(cache)))
    transform = published(FED, UNCHANGED)
    return float((ours - torch.stack([transform(decoded(file)) for file in files])).abs().max())


def jpegs(count: int, height: int, width: int) -> list[bytes]:
    """Return JPEG files of smooth random pictures, which compress like photographs."""
    rng = np.random.default_rng(0)
    files = []
    for _ in range(count):
        coarse = rng.integers(0, 256, (height // 8, width // 8, 3), np.uint8)
        out = io.BytesIO()
        Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).save(out, "JPEG", quality=90)
        files.append(out.getvalue())
    return files


def decoded(file: bytes) -> Image.Image:
    """Decode an image, as published loaders do in every epoch."""
    return Image.open(io.BytesIO(file)).convert("RGB")


def from_cache(cache: Pixels) -> Iterator[Tensor]:
    """Yield batches from the memory-mapped cache."""
    rng = np.random.default_rng(1)
    for start in range(0, len(cache), BATCH):
        index = np.arange(start, min(start + BATCH, len(cache)))
        yield augmented(cache, index, sample_transforms(PUBLISHED, len(index), *FED, rng))


def from_files(files: list[bytes]) -> Iterator[Tensor]:
    """Yield batches as the reference does: decode, resize and transform image by image, then stack."""
    transform = published(FED, PUBLISHED)
    for start in range(0, len(files), BATCH):
        yield torch.stack([transform(decoded(file)) for file in files[start : start + BATCH]])


def published(size: tuple[int, int], augment: Augment) -> transforms.Compose:
    """Return the torchvision transforms of Cluster Contrast's loader: PIL image -> float32 [3, H, W]."""
    return transforms.Compose(
        [
            transforms.Resize(size, transforms.InterpolationMode.BICUBIC),
            transforms.RandomHorizontalFlip(augment.flip),
            transforms.Pad(augment.pad),
            transforms.RandomCrop(size),
            transforms.ToTensor(),
            transforms.Normalize(*IMAGENET),
            transforms.RandomErasing(augment.erase, ERASED_AREA, ERASED_ASPECT, IMAGENET.mean),
        ]
    )


def written(count: int) -> Iterator[Tensor]:
    """Write float32 batches and nothing else: the lower bound."""
    for _ in range(0, count, BATCH):
        yield torch.full((BATCH, 3, *FED), 0.5)


def consume(batches: Iterator[Tensor]) -> int:
    """Iterate over all batches; return their number."""
    return sum(1 for _ in batches)
