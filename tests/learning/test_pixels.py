"""The three places of a set's pixels give the same views; what is read ahead of time is what is asked for."""

import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from harness.errors import UserError
from harness.learning.augment import sample_transforms, unchanged
from harness.learning.pixels import Mapped, PixelStorage, Resident, Streamed, choose_storage
from tests.learning.parts import CPU, STRONG, images

Index = npt.NDArray[np.int64]


def indices() -> Iterator[Index]:
    stream = np.random.default_rng(5)
    while True:
        yield stream.integers(0, 20, 6)


@pytest.mark.parametrize("kind", [Resident, Streamed])
def test_every_place_gives_the_views_of_the_mapped_file(kind: type[PixelStorage], tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", images(20))
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    expected, tried = Mapped(mapped, CPU), kind(mapped, CPU)
    draws = [sample_transforms(STRONG, 6, 16, 8, np.random.default_rng(seed)) for seed in (0, 1)]
    for index, rows in islice(tried.prefetched(indices()), 3):
        for view, same in zip(tried.views(index, rows, draws)[0], expected.views(index, None, draws)[0], strict=True):
            torch.testing.assert_close(view, same, atol=1e-4, rtol=0)
            assert view.is_contiguous(memory_format=torch.channels_last)
    (plain,), where = tried.views(np.arange(3), None, [unchanged(3)])
    assert where.tolist() == [0, 1, 2]
    torch.testing.assert_close(plain, expected.views(np.arange(3), None, [unchanged(3)])[0][0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", [Mapped, Resident, Streamed])
def test_reading_ahead_keeps_the_samplers_batches_and_their_order(kind: type[PixelStorage]) -> None:
    read = list(kind(images(20), CPU).prefetched(islice(indices(), 4)))
    assert len(read) == 4
    for (index, rows), wanted in zip(read, indices(), strict=False):
        np.testing.assert_array_equal(index, wanted)
        if rows is not None:
            np.testing.assert_array_equal(rows, images(20)[wanted])


def test_the_next_rows_are_gathered_while_the_batch_is_used() -> None:
    """The second index batch is asked for although nobody has taken it yet; the third is not."""
    asked: list[int] = []
    second = threading.Event()

    def watched() -> Iterator[Index]:
        for number, index in enumerate(islice(indices(), 4), start=1):
            asked.append(number)
            if number == 2:
                second.set()
            yield index

    batches = Streamed(images(20), CPU).prefetched(watched())
    next(batches)
    assert second.wait(timeout=60)
    assert asked == [1, 2]
    assert len(list(batches)) == 3


def test_a_samplers_error_arrives() -> None:
    def broken() -> Iterator[Index]:
        yield np.arange(2)
        raise UserError("only 1 images can be sampled")

    batches = Streamed(images(20), CPU).prefetched(broken())
    next(batches)
    with pytest.raises(UserError, match="only 1 images"):
        next(batches)


def test_a_cpu_maps() -> None:
    assert type(choose_storage(images(3), CPU)) is Mapped
