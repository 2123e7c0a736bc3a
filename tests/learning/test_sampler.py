"""The samplers against the rules of the published RandomMultipleGallerySampler, checked block by block."""

from itertools import islice

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UserError
from harness.learning.sampler import (
    balanced_order,
    camera_aware_order,
    pk_batches,
    shuffled_batches,
)

Index = npt.NDArray[np.int64]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def blocks(order: Index, labels: Index) -> list[Index]:
    """Cut a pass where the label changes: each label comes once, so a block is one label's images."""
    return np.split(order, np.flatnonzero(np.diff(labels[order])) + 1) if len(order) else []


@st.composite
def sets(draw: st.DrawFn) -> tuple[Index, Index, int, int]:
    count = draw(st.integers(0, 40))
    labels = draw(st.lists(st.integers(-1, 8), min_size=count, max_size=count))
    cameras = draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    return np.array(labels, np.int64), np.array(cameras, np.int64), draw(st.integers(1, 6)), draw(st.integers(0, 2**32))


@given(sets())
@settings(max_examples=300, deadline=None)
def test_a_pass_keeps_every_rule(case: tuple[Index, Index, int, int]) -> None:
    labels, cameras, instances, seed = case
    order = camera_aware_order(labels, cameras, instances, rng(seed))
    assert order.dtype == np.int64
    assert (labels[order] >= 0).all()  # outliers never
    emitted = blocks(order, labels)
    assert sorted(labels[block[0]] for block in emitted) == sorted(set(labels[labels >= 0]))  # each label once
    for block in emitted:
        anchor, companions = block[0], block[1:]
        members = np.flatnonzero(labels == labels[anchor])
        if len(members) == 1:
            assert len(companions) == 0  # a singleton is emitted alone
            continue
        assert len(block) == instances
        elsewhere = members[cameras[members] != cameras[anchor]]
        candidates = elsewhere if len(elsewhere) else members[members != anchor]
        assert set(companions) <= set(candidates)
        if len(candidates) >= instances:
            assert len(set(companions)) == len(companions)


def test_too_few_candidates_are_drawn_with_replacement() -> None:
    """Three candidates for three companions: the lineage draws without replacement only from K = 4 candidates on."""
    labels, cameras = np.zeros(4, np.int64), np.array([0, 1, 1, 1])
    repeated = 0
    for seed in range(200):
        order = camera_aware_order(labels, cameras, 4, rng(seed))
        if order[0] == 0:
            repeated += len(set(order[1:])) < 3
    assert repeated > 0


def test_anchors_and_companions_are_uniform() -> None:
    labels, cameras = np.zeros(6, np.int64), np.array([0, 0, 0, 1, 1, 1])
    anchors, companions = np.zeros(6), np.zeros(6)
    stream = rng()
    for _ in range(3000):
        anchor, companion = camera_aware_order(labels, cameras, 2, stream)
        anchors[anchor] += 1
        companions[companion] += 1
    for counts in (anchors, companions):
        assert (abs(counts - 500) < 5 * np.sqrt(3000 / 6 * 5 / 6)).all()  # five standard deviations


def test_labels_come_in_random_order() -> None:
    labels, cameras = np.repeat(np.arange(5), 2), np.tile([0, 1], 5)
    orders = {tuple(labels[camera_aware_order(labels, cameras, 2, rng(seed))]) for seed in range(50)}
    assert len(orders) > 20


def test_the_published_shape_of_a_pass() -> None:
    """300 clusters, one in ten a singleton, K 16: 270 · 16 + 30 images, nearly all companions from other cameras."""
    stream = rng()
    sizes = np.where(np.arange(300) < 30, 1, 20)
    labels = np.repeat(np.arange(300), sizes)
    cameras = stream.integers(0, 6, len(labels))
    order = camera_aware_order(labels, cameras, 16, stream)
    assert len(order) == 4350
    other = [cameras[block[1:]] != cameras[block[0]] for block in blocks(order, labels)]
    assert np.concatenate(other).mean() > 0.99


def test_the_same_stream_gives_the_same_batches() -> None:
    labels, cameras = np.arange(40) % 8, np.arange(40) % 3
    runs = [list(islice(pk_batches(labels, cameras, 4, 3, rng(seed)), 7)) for seed in (5, 5, 6)]
    assert all(np.array_equal(a, b) for a, b in zip(runs[0], runs[1], strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(runs[0], runs[2], strict=True))


def test_pk_batches_cut_a_pass_and_drop_its_tail() -> None:
    """Ten labels of four images in batches of 3 × 4: three batches a pass, one label left over."""
    labels, cameras = np.repeat(np.arange(10), 4), np.tile([0, 1, 2, 3], 10)
    stream = rng()
    passes = [camera_aware_order(labels, cameras, 4, stream) for _ in range(2)]
    expected = [order[start : start + 12] for order in passes for start in (0, 12, 24)]
    for batch, wanted in zip(pk_batches(labels, cameras, 3, 4, rng()), expected, strict=False):
        np.testing.assert_array_equal(batch, wanted)
        assert len(set(labels[batch])) == 3


@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_no_label_and_no_image_is_in_a_batch_more_often_than_instances(
    identities: int, instances: int, seed: int
) -> None:
    """What a memory's update counts on: a label comes once a pass, with at most so many images, repeats included."""
    labels, cameras = rng(seed).integers(-1, 8, 60), rng(seed + 1).integers(0, 2, 60)
    try:
        batches = list(islice(pk_batches(labels, cameras, identities, instances, rng(seed)), 6))
    except UserError:  # a pass of fewer images than a batch
        return
    for batch in batches:
        assert np.bincount(labels[batch]).max() <= instances
        assert np.bincount(batch).max() <= instances


def test_pk_batches_need_a_batch_of_images() -> None:
    labels, cameras = np.array([0, 0, 0, 1, -1, -1, -1, -1]), np.zeros(8, np.int64)
    with pytest.raises(UserError, match="only 5 images can be sampled, fewer than a batch of 2×4"):
        next(pk_batches(labels, cameras, 2, 4, rng()))
    assert len(next(pk_batches(labels, cameras, 1, 4, rng()))) == 4


def test_only_outliers_is_an_error() -> None:
    with pytest.raises(UserError, match="only 0 images"):
        next(pk_batches(np.full(9, -1), np.zeros(9, np.int64), 2, 2, rng()))


@given(st.integers(1, 50), st.integers(1, 50), st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_shuffled_batches_show_every_image_once_a_pass(count: int, size: int, seed: int) -> None:
    batches = shuffled_batches(count, size, rng(seed))
    if count < size:
        with pytest.raises(UserError, match=f"only {count} images, fewer than a batch of {size}"):
            next(batches)
        return
    per_pass = count // size
    drawn = list(islice(batches, 2 * per_pass))
    assert all(len(batch) == size for batch in drawn)
    for start in (0, per_pass):
        seen = np.concatenate(drawn[start : start + per_pass])
        assert len(set(seen)) == per_pass * size  # none twice; only the tail is missing
        assert set(seen) <= set(range(count))


@given(st.integers(0, 2**32), st.integers(1, 60), st.integers(1, 6))
@settings(max_examples=30, deadline=None)
def test_a_balanced_pass_holds_as_many_images_of_every_label(seed: int, n: int, instances: int) -> None:
    labels = rng(seed).integers(-1, 8, n)
    order = balanced_order(labels, instances, rng(seed + 1))
    kept = labels[labels >= 0]
    assert len(order) == instances * len(np.unique(kept))
    for group in order.reshape(-1, instances):
        label = labels[group[0]]
        assert (labels[group] == label).all()
        if (labels == label).sum() >= instances:
            assert len(set(group.tolist())) == instances
    assert sorted(set(labels[order].tolist())) == sorted(set(kept.tolist()))
