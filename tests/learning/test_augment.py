"""Augmentation against PIL and against a slow per-pixel oracle; its random numbers against the published rules."""

import math
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps
from scipy.stats import chisquare, ks_2samp

from harness.learning.augment import Transforms, augmented, augmented_on_device, sample_transforms, send, unchanged
from harness.specs.compute import Augment
from tests.learning.parts import STRONG, images

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
PUBLISHED = Augment(flip=0.5, pad=10, erase=0.5, jitter=0)
MANY = 20_000


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def with_pil(image: npt.NDArray[np.uint8], drawn: Transforms, at: int, pad: int) -> npt.NDArray[np.float64]:
    """One image: flip, pad with black, crop, normalize, erase, in the published order. Float64 [3, H, W]."""
    height, width, _ = image.shape
    picture = Image.fromarray(image)
    if drawn.flip[at]:
        picture = ImageOps.mirror(picture)
    row, column = (int(pad + offset) for offset in drawn.offset[at])
    picture = ImageOps.expand(picture, pad, fill=(0, 0, 0)).crop((column, row, column + width, row + height))
    result: npt.NDArray[np.float64] = ((np.asarray(picture, np.float64) / 255 - MEAN) / STD).transpose(2, 0, 1)
    top, left, tall, wide = drawn.erase[at]
    result[:, top : top + tall, left : left + wide] = MEAN[:, None, None]
    return result


def by_pixel(image: npt.NDArray[np.uint8], drawn: Transforms, at: int) -> npt.NDArray[np.float64]:
    """One image with jitter: brightness, then contrast about the mean grey, then saturation about each pixel's grey."""
    height, width, _ = image.shape
    cropped = np.zeros((height, width, 3))
    for y in range(height):
        for x in range(width):
            row, column = y + drawn.offset[at, 0], x + drawn.offset[at, 1]
            if 0 <= row < height and 0 <= column < width:
                cropped[y, x] = image[row, width - 1 - column if drawn.flip[at] else column]
    brightness, contrast, saturation = (float(factor) for factor in drawn.factors[at])
    weights = np.array([0.299, 0.587, 0.114])
    bright = cropped * brightness
    mean_grey = np.mean([pixel @ weights for pixel in bright.reshape(-1, 3)])
    contrasted = mean_grey + (bright - mean_grey) * contrast
    result = np.empty((3, height, width))
    for y in range(height):
        for x in range(width):
            grey = contrasted[y, x] @ weights
            value = np.clip(grey + (contrasted[y, x] - grey) * saturation, 0, 255)
            result[:, y, x] = (value / 255 - MEAN) / STD
    top, left, tall, wide = drawn.erase[at]
    result[:, top : top + tall, left : left + wide] = MEAN[:, None, None]
    return result


def both_paths(pictures: npt.NDArray[np.uint8], index: npt.NDArray[np.int64], drawn: Transforms) -> list[torch.Tensor]:
    where, (sent,) = send(index, [drawn], torch.device("cpu"))
    on_device = augmented_on_device(torch.from_numpy(pictures), where, sent)
    return [augmented(pictures, index, drawn), on_device]


@pytest.mark.parametrize("pad", [0, 3])
def test_both_paths_are_pils(pad: int) -> None:
    pictures, stream = images(10, 20, 12), rng(1)
    index = stream.integers(0, 10, 30)
    drawn = sample_transforms(Augment(flip=0.5, pad=pad, erase=0.5, jitter=0), 30, 20, 12, stream)
    expected = np.stack([with_pil(pictures[i], drawn, at, pad) for at, i in enumerate(index)])
    for result in both_paths(pictures, index, drawn):
        assert result.dtype == torch.float32
        np.testing.assert_allclose(result.numpy(), expected, atol=2e-6)


def test_both_paths_are_the_pixel_loop_with_jitter() -> None:
    pictures, stream = images(6, 10, 7), rng(2)
    index = stream.integers(0, 6, 12)
    drawn = sample_transforms(Augment(flip=0.5, pad=3, erase=0.5, jitter=0.9), 12, 10, 7, stream)
    drawn.factors[3] = 1  # an unchanged image among the others
    expected = np.stack([by_pixel(pictures[i], drawn, at) for at, i in enumerate(index)])
    for result in both_paths(pictures, index, drawn):
        np.testing.assert_allclose(result.numpy(), expected, atol=1e-4)


def test_jitter_is_what_pil_calls_brightness_contrast_and_colour() -> None:
    """Up to PIL's cutting off fractions of a level after every step, on images that no step clips."""
    pictures = rng(3).integers(90, 160, (8, 12, 9, 3), dtype=np.uint8)
    drawn = sample_transforms(Augment(flip=0, pad=0, erase=0, jitter=0.3), 8, 12, 9, rng(4))
    result = augmented(pictures, np.arange(8), drawn).numpy()
    for at, picture in enumerate(pictures):
        jittered = Image.fromarray(picture)
        for enhance, factor in zip(
            (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color), drawn.factors[at], strict=True
        ):
            jittered = enhance(jittered).enhance(float(factor))
        levels = (result[at].transpose(1, 2, 0) * STD + MEAN) * 255
        np.testing.assert_allclose(levels, np.asarray(jittered, np.float64), atol=5)


@given(st.integers(0, 2**32), st.integers(0, 12), st.floats(0, 0.9), st.sampled_from([(16, 8), (8, 8), (9, 14)]))
@settings(max_examples=40, deadline=None)
def test_both_paths_agree(seed: int, pad: int, jitter: float, size: tuple[int, int]) -> None:
    """Padding may be wider than the image."""
    pictures, stream = images(4, *size, seed=seed), rng(seed)
    index = stream.integers(0, 4, 6)
    drawn = sample_transforms(Augment(flip=0.5, pad=pad, erase=0.5, jitter=jitter), 6, *size, stream)
    compiled, on_device = both_paths(pictures, index, drawn)
    torch.testing.assert_close(compiled, on_device, atol=1e-4, rtol=0)
    assert compiled.is_contiguous(memory_format=torch.channels_last)


def test_unchanged_only_normalizes() -> None:
    pictures = images(3)
    expected = ((pictures / 255 - MEAN) / STD).transpose(0, 3, 1, 2)
    for result in both_paths(pictures, np.arange(3), unchanged(3)):
        np.testing.assert_allclose(result.numpy(), expected, atol=2e-6)


def test_every_level_is_normalized_to_the_last_bit() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, 3)
    mean, std = MEAN.astype(np.float32), STD.astype(np.float32)
    expected = (levels.astype(np.float32) / np.float32(255) - mean) / std
    assert expected.dtype == np.float32
    np.testing.assert_array_equal(augmented(levels, np.arange(1), unchanged(1)).permute(0, 2, 3, 1).numpy(), expected)


def test_rows_outside_the_index_change_nothing(tmp_path: Path) -> None:
    """A mapped file gives the same views, whatever its other rows hold."""
    pictures, index = images(9), np.array([7, 2, 7])
    drawn = sample_transforms(STRONG, 3, 16, 8, rng())
    expected = augmented(pictures, index, drawn)
    others = np.setdiff1d(np.arange(9), index)
    pictures[others] = 255 - pictures[others]
    np.save(tmp_path / "images.npy", pictures)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    assert torch.equal(augmented(mapped, index, drawn), expected)


# --- the random numbers ----------------------------------------------------------------------------------------------


def test_the_same_seed_draws_the_same_numbers() -> None:
    first, again, other = (sample_transforms(STRONG, 20, 16, 8, rng(seed)) for seed in (0, 0, 1))
    for name in ("flip", "offset", "erase", "factors"):
        assert np.array_equal(getattr(first, name), getattr(again, name))
        assert not np.array_equal(getattr(first, name), getattr(other, name))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
def test_flips_and_erasings_have_their_probability(share: float) -> None:
    drawn = sample_transforms(Augment(flip=share, pad=0, erase=share, jitter=0), MANY, 256, 128, rng())
    tolerance = 4 * math.sqrt(share * (1 - share) / MANY)
    assert abs(drawn.flip.mean() - share) <= tolerance
    assert abs((drawn.erase[:, 2] > 0).mean() - share) <= tolerance


def test_crops_are_uniform_over_the_padded_image() -> None:
    offset = sample_transforms(PUBLISHED, MANY, 256, 128, rng()).offset
    for axis in (0, 1):
        counts = np.bincount(offset[:, axis] + 10, minlength=21)
        assert len(counts) == 21
        assert chisquare(counts).pvalue > 1e-3
    assert abs(np.mean(offset[:, 0] * offset[:, 1])) < 4 * np.prod(offset.std(0)) / math.sqrt(MANY)


def test_jitter_is_uniform_about_one() -> None:
    factors = sample_transforms(Augment(flip=0, pad=0, erase=0, jitter=0.2), MANY, 16, 8, rng()).factors
    assert factors.min() >= np.float32(0.8)
    assert factors.max() <= np.float32(1.2)
    for column in factors.T:
        assert ks_2samp(column, rng(1).uniform(0.8, 1.2, MANY)).pvalue > 1e-3


def erased_one_by_one(height: int, width: int, count: int) -> npt.NDArray[np.int64]:
    """The released RandomErasing, image by image: [count, 4] of top, left, height, width."""
    stream, boxes = random.Random(0), list[tuple[int, int, int, int]]()
    while len(boxes) < count:
        for _ in range(100):
            area = stream.uniform(0.02, 0.4) * height * width
            aspect = stream.uniform(0.3, 1 / 0.3)
            tall, wide = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if wide < width and tall < height:
                boxes.append((stream.randint(0, height - tall), stream.randint(0, width - wide), tall, wide))
                break
    return np.array(boxes)


@pytest.mark.parametrize("size", [(256, 128), (224, 224), (64, 32)])
def test_erased_boxes_follow_the_released_code(size: tuple[int, int]) -> None:
    height, width = size
    boxes = sample_transforms(Augment(flip=0, pad=0, erase=1, jitter=0), MANY, height, width, rng()).erase
    assert (boxes[:, 2] > 0).all()
    assert (boxes[:, 2:] < [height, width]).all()  # strictly smaller than the image
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, :2] + boxes[:, 2:] <= [height, width]).all()
    expected = erased_one_by_one(height, width, MANY)
    measures: list[Callable[[npt.NDArray[np.int64]], npt.NDArray[np.float64]]] = [
        lambda b: b[:, 2] * b[:, 3] / (height * width),  # area
        lambda b: b[:, 2] / b[:, 3],  # aspect
        lambda b: b[:, 0] / (height - b[:, 2]),
        lambda b: b[:, 1] / (width - b[:, 3]),
    ]
    for measure in measures:
        assert ks_2samp(measure(boxes), measure(expected)).pvalue > 1e-3


def test_images_are_drawn_independently() -> None:
    """No number of one image follows from the neighbour's, nor one kind of transform from another."""
    drawn = sample_transforms(Augment(flip=0.5, pad=10, erase=0.5, jitter=0.2), MANY, 256, 128, rng())
    columns = np.column_stack([drawn.flip, drawn.offset, drawn.erase[:, 2] > 0, drawn.factors])
    together = np.column_stack([columns[:-1], columns[1:]]).astype(np.float64)
    correlation = np.corrcoef(together.T) - np.eye(together.shape[1])
    assert abs(correlation).max() < 5 / math.sqrt(MANY)


def test_views_of_one_stream_differ() -> None:
    stream = rng()
    first, second = (sample_transforms(PUBLISHED, 64, 256, 128, stream) for _ in range(2))
    assert not np.array_equal(first.offset, second.offset)
