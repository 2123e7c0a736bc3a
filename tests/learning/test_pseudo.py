"""Pseudo-labels of a run: what is clustered, what a collapse does, and SpCL's reliable images."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import normalize

from harness.errors import CollapseError, UserError
from harness.labels import cluster, jaccard_distance
from harness.labels.clusterings import DBSCAN, HDBSCAN, DataDrivenDBSCAN, Infomap
from harness.labels.clusterings.base import ClusteringKind
from harness.labels.clusterings.dbscan_data_driven import data_driven_eps
from harness.labels.distances import Cosine, Jaccard
from harness.labels.label_free import centroid_silhouette
from harness.learning import pseudo
from harness.learning.algorithm import RunContext
from harness.specs.params import Labels as Spec
from tests.learning.parts import context

Labels = npt.NDArray[np.int64]
JACCARD = Jaccard(kind="jaccard", k1=8, k2=3)
DATA_DRIVEN = Spec(distance=JACCARD, clustering=DataDrivenDBSCAN(kind="dbscan-data-driven", rho=0.05, min_samples=3))


def dbscan(eps: float) -> DBSCAN:
    return DBSCAN(kind="dbscan", eps=eps, min_samples=3)


FIXED = Spec(distance=JACCARD, clustering=dbscan(0.5))


def groups(seed: int = 0, spread: float = 0.3) -> Tensor:
    """Six groups of ten features."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(6, 16, generator=generator)
    return normalize(centres.repeat_interleave(10, 0) + spread * torch.randn(60, 16, generator=generator), dim=1)


def test_assigned_labels_are_dbscan_on_the_jaccard_distance() -> None:
    features, run = groups(), context()
    labels = pseudo.assign(features, FIXED, run)
    expected = cluster(jaccard_distance(features.numpy(), 8, 3, 0.5), 0.5, 3)
    assert expected.max() >= 2
    np.testing.assert_array_equal(labels, expected)
    np.testing.assert_array_equal(run.state.tensors[pseudo.LABELS], expected)
    assert run.state.values[pseudo.SILHOUETTE] == centroid_silhouette(features.numpy(), expected)
    assert run.notes == []


def test_the_data_driven_radius_is_fixed_in_the_first_epoch() -> None:
    run, features, later = context(), groups(0), groups(1, spread=0.6)
    labels = pseudo.assign(features, DATA_DRIVEN, run)
    eps = data_driven_eps(features.numpy(), 8, 3, 0.05)
    assert run.state.values["eps"] == eps
    np.testing.assert_array_equal(labels, cluster(jaccard_distance(features.numpy(), 8, 3, eps), eps, 3))
    assert data_driven_eps(later.numpy(), 8, 3, 0.05) != eps
    pseudo.assign(later, DATA_DRIVEN, run)
    assert run.state.values["eps"] == eps


def test_how_neighbours_were_searched_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    run, features = context(), groups()
    pseudo.assign(features, FIXED, run)
    assert run.state.values[pseudo.SEARCH] == {"search": "exact", "recall": 1.0}
    run.state.values[pseudo.SEARCH] = {"search": "hnsw", "recall": 0.25}  # of an earlier epoch
    monkeypatch.setattr("harness.labels.neighbours.nearest_neighbours.__kwdefaults__", {"approximate_above": 59})
    pseudo.nested(features, JACCARD, dbscan(0.5), (0,), run)
    assert run.state.values[pseudo.SEARCH] == {"search": "hnsw", "recall": 0.25}
    run = context()
    pseudo.assign(features, FIXED, run)
    assert run.state.values[pseudo.SEARCH]["search"] == "hnsw"
    assert 0.5 < run.state.values[pseudo.SEARCH]["recall"] <= 1


def test_as_many_neighbours_as_images_are_an_error() -> None:
    for distance in (Jaccard(kind="jaccard", k1=60, k2=3), Cosine(kind="cosine", k=99)):
        spec = Spec(distance=distance, clustering=Infomap(kind="infomap", max_distance=0.5, min_cluster_size=2))
        with pytest.raises(UserError, match=f"looks at {distance.neighbours} neighbours of each of 60 images"):
            pseudo.assign(groups(), spec, context())


@pytest.mark.parametrize(
    ("clustering", "found", "advice"),
    [
        (HDBSCAN(kind="hdbscan", min_cluster_size=4, min_samples=4), [-1] * 5, "a smaller min_cluster_size"),
        (Infomap(kind="infomap", max_distance=0.5, min_cluster_size=5), [0] * 5, "a smaller max_distance"),
        (DataDrivenDBSCAN(kind="dbscan-data-driven", rho=0.1, min_samples=4), [0] * 5, "a smaller rho"),
    ],
)
def test_a_collapse_names_the_kinds_own_keys(clustering: ClusteringKind, found: list[int], advice: str) -> None:
    with pytest.raises(CollapseError, match=f"try {advice}"):
        pseudo.fall_back(np.array(found), clustering, context())


def collapsed(run: RunContext, labels: list[int]) -> Labels:
    return pseudo.fall_back(np.array(labels), dbscan(0.5), run)


@pytest.mark.parametrize(
    ("labels", "found", "advice"),
    [([-1] * 5, "no cluster", "a larger eps"), ([0, 0, -1, 0, 0], "one single cluster", "a smaller eps")],
)
def test_a_collapse(labels: list[int], found: str, advice: str) -> None:
    good = [0, 1, 1, -1, 0]
    run = context()
    with pytest.raises(CollapseError, match=f"epoch 1: clustering found {found} in 5 images; try {advice}"):
        collapsed(run, labels)  # nothing to keep yet
    assert collapsed(run, good).tolist() == good
    pseudo.remember(np.array(good), torch.eye(5), run)
    run.state.epoch = 3
    assert collapsed(run, labels).tolist() == good
    assert run.state.tensors[pseudo.LABELS].tolist() == good
    assert run.notes == [f"epoch 4: clustering found {found}; the labels of the epoch before were kept"]


def test_nested_clusterings_are_three_separate_ones() -> None:
    features = groups(0, spread=1.2)
    found = pseudo.nested(features, JACCARD, dbscan(0.6), (0, -0.1, 0.1), context())
    for labels, eps in zip(found, (0.6, 0.6 - 0.1, 0.6 + 0.1), strict=True):
        np.testing.assert_array_equal(labels, cluster(jaccard_distance(features.numpy(), 8, 3, eps), eps, 3))
    assert len({tuple(labels) for labels in found}) == 3


def self_paced_by_matrices(
    normal: Labels, tight: Labels, loose: Labels, share: float, bound: float | None
) -> tuple[list[bool], float]:
    """The release's way: N×N membership matrices, image by image."""
    count = len(normal)

    def members(labels: Labels, image: int) -> set[int]:
        return {other for other in range(count) if other == image or labels[other] == labels[image] >= 0}

    def apart(other: Labels, image: int) -> float:
        a, b = members(normal, image), members(other, image)
        return 1 - len(a & b) / len(a | b)

    compact, independent = [[apart(other, image) for image in range(count)] for other in (tight, loose)]
    ids = sorted(set(normal[normal >= 0]))
    lowest_compact = {c: min(compact[i] for i in range(count) if normal[i] == c) for c in ids}
    lowest_independent = {c: min(independent[i] for i in range(count) if normal[i] == c) for c in ids}
    if bound is None:
        several = sorted(lowest_independent[c] for c in ids if (normal == c).sum() > 1)
        bound = several[min(len(several) - 1, round(share * len(several)))]
    kept = [
        bool(normal[i] >= 0 and lowest_independent[normal[i]] <= bound and compact[i] <= lowest_compact[normal[i]])
        for i in range(count)
    ]
    return kept, bound


@st.composite
def clusterings(draw: st.DrawFn) -> tuple[Labels, Labels, Labels]:
    count = draw(st.integers(4, 24))
    drawn = [draw(st.lists(st.integers(-1, 4), min_size=count, max_size=count)) for _ in range(3)]
    drawn[0][:2] = [0, 0]  # a cluster of several images
    normal, tight, loose = (np.array(labels, np.int64) for labels in drawn)
    return pseudo.relabeled(normal), tight, loose


@given(clusterings(), st.floats(0.1, 1), st.none() | st.floats(0, 1))
@settings(max_examples=100, deadline=None)
def test_self_paced_labels_are_the_releases(
    labels: tuple[Labels, Labels, Labels], share: float, bound: float | None
) -> None:
    kept, used = pseudo.self_paced(*labels, share, bound)
    expected, expected_bound = self_paced_by_matrices(*labels, share, bound)
    assert used == pytest.approx(expected_bound)
    assert (kept >= 0).tolist() == expected
    assert set(kept[kept >= 0]) == set(range(kept.max() + 1))  # no gaps
    for label in range(kept.max() + 1):
        assert len(set(labels[0][kept == label])) == 1


def test_the_bound_is_the_value_at_nine_tenths() -> None:
    """Sorted position min(n - 1, round(0.9 n)), halves to even: n = 5 gives round(4.5) = 4, the last."""
    for clusters, position in ((1, 0), (2, 1), (5, 4), (10, 9), (15, 14), (20, 18)):
        normal = np.repeat(np.arange(clusters), 2)
        # cluster c merges with c + 1 further clusters of its own in the loose labels: its score grows with c
        extra = np.repeat(np.arange(clusters), np.arange(clusters) + 1)
        normal, loose = np.r_[normal, np.full(len(extra), -1)], np.r_[normal, extra]
        scores = sorted(1 - 2 / (3 + c) for c in range(clusters))
        assert pseudo.self_paced(normal, normal, loose, 0.9, None)[1] == pytest.approx(scores[position])


@given(st.lists(st.integers(-1, 5), min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_singletons_and_renumbering(labels: list[int]) -> None:
    given_labels = np.array(labels, np.int64)
    numbered = pseudo.relabeled(given_labels)
    single = pseudo.singletons(numbered)
    assert set(single) == set(range(single.max() + 1))
    for i, a in enumerate(labels):
        assert (numbered[i] == -1) == (a == -1)
        for j, b in enumerate(labels):
            together = a == b >= 0
            assert (numbered[i] == numbered[j] >= 0) == together
            assert (single[i] == single[j]) == (together or i == j)
