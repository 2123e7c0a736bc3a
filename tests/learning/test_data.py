"""Sets and batches: what they show, and what an unlabeled one cannot."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch

from harness.learning.augment import augmented, sample_transforms
from harness.learning.data import LabeledSet, UnlabeledBatch, UnlabeledSet
from tests.learning.parts import CPU, STRONG, images, labeled, unlabeled


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def endless() -> Iterator[npt.NDArray[np.int64]]:
    stream = rng(5)
    while True:
        yield stream.integers(0, 32, 6)


def test_an_unlabeled_set_and_its_batches_hold_no_identities() -> None:
    target = unlabeled()
    assert set(vars(target)) == {"images", "_cameras", "cameras_used", "device", "_pixels"}
    assert {field.name for field in dataclasses.fields(UnlabeledBatch)} == {"views", "index"}
    batch = next(target.batches(endless(), 1, STRONG, [rng()]))
    assert not hasattr(batch, "ids")
    # a labeled set asked for unlabeled batches gives no identities either
    assert type(next(labeled().batches(endless(), 1, STRONG, [rng()]))) is UnlabeledBatch


def test_batches_are_the_samplers_and_as_many_as_asked_for() -> None:
    batches = list(unlabeled().batches(endless(), 3, STRONG, [rng(), rng(1)]))
    assert len(batches) == 3
    for batch, index in zip(batches, endless(), strict=False):
        np.testing.assert_array_equal(batch.index, index)
        assert [view.shape for view in batch.views] == [(6, 3, 16, 8)] * 2
        assert not torch.equal(*batch.views)


def test_a_view_is_the_augmentation_of_its_own_stream() -> None:
    """Views share no numbers: the first is the same with or without a second."""
    target, index = unlabeled(), np.array([3, 1, 4])
    one = next(target.batches(iter([index]), 1, STRONG, [rng(1)])).views
    two = next(target.batches(iter([index]), 1, STRONG, [rng(1), rng(2)])).views
    assert torch.equal(one[0], two[0])
    assert torch.equal(two[1], augmented(target.images, index, sample_transforms(STRONG, 3, 16, 8, rng(2))))


def test_identities_are_numbered_in_order_and_follow_their_images() -> None:
    ids = np.array([70, 5, 70, 1500, 5, 9])
    source = LabeledSet(images(6), np.zeros(6, np.int64), ids, CPU)
    assert source.classes == 4
    assert source.ids.tolist() == [2, 0, 2, 3, 0, 1]
    index = np.array([3, 0, 1])
    batch = next(source.labeled_batches(iter([index]), 1, STRONG, [rng()]))
    assert batch.ids.tolist() == [3, 2, 0]
    assert batch.ids.dtype == torch.int64
    assert torch.equal(batch.views[0], next(source.batches(iter([index]), 1, STRONG, [rng()])).views[0])


def test_plain_images_are_only_normalized() -> None:
    target = UnlabeledSet(np.full((2, 4, 3, 3), 255, np.uint8), np.zeros(2, np.int64), CPU)
    plain = target.plain(np.array([1]))
    expected = (1 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    np.testing.assert_allclose(plain[0, :, 2, 1].numpy(), expected, rtol=1e-6)
    assert len(target) == 2
