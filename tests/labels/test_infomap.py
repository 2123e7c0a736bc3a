"""Infomap's modules: planted groups, links as the release of Cluster Contrast makes them, and what is left out."""

import sys

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from harness.errors import UserError
from harness.labels.clusterings import Infomap
from harness.labels.clusterings.infomap import infomap_modules
from harness.labels.distances import Cosine
from harness.labels.distances.cosine import nearest_within
from harness.labels.neighbours import nearest_neighbours
from tests.labels.oracles import grouped_features


def test_links_go_from_each_image_to_its_nearest_within_reach():
    features = grouped_features(3, 6, spread=0.8)
    found = nearest_within(nearest_neighbours(features, 5), 0.5)
    expected = np.zeros((18, 18), bool)
    for image in range(18):
        similarity = features @ features[image]
        nearest = np.argsort(-similarity, kind="stable")[:5]
        expected[image, nearest[1 - similarity[nearest] <= 0.5]] = True
    assert not (expected == expected.T).all()
    stored = found.tocoo()
    actual = np.zeros_like(expected)
    actual[stored.row, stored.col] = True
    np.testing.assert_array_equal(actual, expected)
    np.testing.assert_allclose(stored.data, 1 - (features @ features.T)[stored.row, stored.col], atol=1e-6)


def test_planted_groups_are_found_whatever_the_order():
    features, groups = grouped_features(8, 10, spread=0.35), np.repeat(np.arange(8), 10)
    spec = Infomap(kind="infomap", max_distance=0.5, min_cluster_size=5)
    order = np.random.default_rng(0).permutation(len(features))
    for chosen in (np.arange(len(features)), order):
        mixed = features[chosen]
        labels = spec.cluster(Cosine(kind="cosine", k=8).measure(mixed, nearest_neighbours(mixed, 8)), {})
        together = groups[chosen][:, None] == groups[chosen]
        np.testing.assert_array_equal(labels[:, None] == labels, together)
        assert labels[0] == 0
        assert labels.max() == 7


def graph(sizes, bridges=()):
    """Cliques with distances of 0.2 inside and 0.9 over the bridges."""
    n = sum(sizes)
    distance = np.ones((n, n))
    start = 0
    for size in sizes:
        distance[start : start + size, start : start + size] = 0.2
        start += size
    for a, b in bridges:
        distance[a, b] = distance[b, a] = 0.9
    rows, columns = np.nonzero(distance < 1)
    return csr_matrix((distance[rows, columns], (rows, columns)), shape=(n, n))


def test_weak_bridges_do_not_join_modules():
    np.testing.assert_array_equal(infomap_modules(graph([6, 6, 6], [(5, 6), (11, 12)]), 5), np.repeat([0, 1, 2], 6))


def test_small_modules_and_images_without_links_are_outliers():
    np.testing.assert_array_equal(infomap_modules(graph([4, 5, 1, 6]), 5), [-1] * 4 + [0] * 5 + [-1] + [1] * 6)
    np.testing.assert_array_equal(infomap_modules(graph([4, 5, 1]), 2), [0] * 4 + [1] * 5 + [-1])
    np.testing.assert_array_equal(infomap_modules(csr_matrix((3, 3)), 1), [-1] * 3)


def test_without_its_package_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "infomap", None)
    with pytest.raises(UserError, match=r"pip install 'reid-harness\[infomap\]'"):
        infomap_modules(graph([5, 5]), 2)
