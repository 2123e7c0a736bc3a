"""Training batches: the memory-mapped cache and the one-pass augmentation, against the per-image PIL pipeline."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from benchmarks.measure import Outcome, measured
from harness.learning.augment import MEAN, STD, augmented, draw
from harness.specs.compute import Augment

SIZES = {"small": 512, "large": 8_192}
BATCH = 64
STORED, FED = (128, 64), (256, 128)
PUBLISHED = Augment(flip=0.5, pad=10, erase=0.5, jitter=0)

Pixels = NDArray[np.uint8]


def run(size: str, repeats: int, with_reference: bool) -> Iterator[Outcome]:
    """Yield the outcome for so many images of 128×64, fed at 256×128 with the published transforms, on one thread."""
    count = SIZES[size]
    files = jpegs(count, *STORED)
    cache = np.stack([np.asarray(resized(file)) for file in files])
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
    yield Outcome(
        "batches", f"{count:,} images", ours.seconds, ours.extra_gib, "PIL, image by image", slow.seconds,
        slow.extra_gib, limit.seconds, f"{count / ours.seconds:,.0f} images/s, PIL {count / slow.seconds:,.0f}",
    )  # fmt: skip


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


def resized(file: bytes, size: tuple[int, int] = FED) -> Image.Image:
    """Decode and resize to (height, width), as every published loader does for every image in every epoch."""
    return Image.open(io.BytesIO(file)).convert("RGB").resize(size[::-1], Image.Resampling.BICUBIC)


def from_cache(cache: Pixels) -> Iterator[Tensor]:
    """Our batches."""
    rng = np.random.default_rng(1)
    for start in range(0, len(cache), BATCH):
        index = np.arange(start, min(start + BATCH, len(cache)))
        yield augmented(cache, index, draw(PUBLISHED, len(index), *FED, rng))


def from_files(files: list[bytes]) -> Iterator[Tensor]:
    """The reference: decode, resize, flip, pad, crop, to tensor, normalise, erase, image by image, then stack."""
    rng = np.random.default_rng(1)
    for start in range(0, len(files), BATCH):
        yield torch.stack([reference_image(file, FED, PUBLISHED, rng) for file in files[start : start + BATCH]])


def reference_image(file: bytes, size: tuple[int, int], augment: Augment, rng: np.random.Generator) -> Tensor:
    """One image of the reference, float32 [3, H, W]."""
    image, (height, width), pad = resized(file, size), size, augment.pad
    mean, std = torch.from_numpy(MEAN)[:, None, None], torch.from_numpy(STD)[:, None, None]
    if rng.random() < augment.flip:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    padded = Image.new("RGB", (width + 2 * pad, height + 2 * pad))
    padded.paste(image, (pad, pad))
    top, left = rng.integers(0, 2 * pad + 1, 2)
    cropped = padded.crop((left, top, left + width, top + height))
    tensor = torch.from_numpy(np.array(cropped)).permute(2, 0, 1).float().div(255).sub(mean).div(std)
    if rng.random() < augment.erase:
        area, aspect = rng.uniform(0.02, 0.4) * height * width, rng.uniform(0.3, 1 / 0.3)
        tall, wide = round((area * aspect) ** 0.5), round((area / aspect) ** 0.5)
        if tall < height and wide < width:
            y, x = rng.integers(0, height - tall + 1), rng.integers(0, width - wide + 1)
            tensor[:, y : y + tall, x : x + wide] = mean
    return tensor


def written(count: int) -> Iterator[Tensor]:
    """The limit: writing the float32 batches."""
    for _ in range(0, count, BATCH):
        yield torch.zeros(BATCH, 3, *FED)


def consume(batches: Iterator[Tensor]) -> int:
    """Take all batches; return how many there were."""
    return sum(1 for _ in batches)
