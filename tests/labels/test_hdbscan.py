"""HDBSCAN on sparse distances against scikit-learn's on the dense matrix."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from sklearn import cluster

from harness.labels.clusterings import HDBSCAN
from harness.labels.clusterings.base import numbered_by_first
from harness.labels.clusterings.hdbscan import hdbscan, mutual_reachability
from harness.labels.distances import Jaccard
from harness.labels.neighbours import nearest_neighbours
from tests.labels.oracles import grouped_features


def stored(distances):
    """The sparse form: what is nearer than 1."""
    rows, columns = np.nonzero(distances < 1)
    return csr_matrix((distances[rows, columns], (rows, columns)), shape=distances.shape)


def distinct(n, rng, scale=1.0):
    """A symmetric matrix of distances that are all different, so that no tie is left to chance."""
    upper = np.triu(rng.permutation(n * n).reshape(n, n) + 1.0, 1) / (n * n + 1) * scale
    return upper + upper.T


def blocks(sizes, rng):
    """Groups at distance 1 from one another, distances inside that are all different."""
    distances = np.ones((sum(sizes),) * 2)
    start = 0
    for size in sizes:
        distances[start : start + size, start : start + size] = distinct(size, rng, 0.9)
        start += size
    return distances


def dense(distances, min_cluster_size, min_samples):
    spec = {"min_cluster_size": min_cluster_size, "min_samples": min_samples}
    return numbered_by_first(cluster.HDBSCAN(**spec, metric="precomputed", copy=True).fit_predict(distances))


# From the third sample on, one core distance is the length of several merges, and scikit-learn's result depends on
# which of them its spanning tree meets first.
without_ties = st.integers(1, 2)


@given(st.integers(1, 30), st.integers(1, 6), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_mutual_reachability_by_loops(n, min_samples, seed):
    rng = np.random.default_rng(seed)
    distances = np.where(rng.random((n, n)) < 0.3, distinct(n, rng), 1)
    distances = np.minimum(distances, distances.T)
    np.fill_diagonal(distances, 0)
    core = [sorted(row)[min_samples - 1] if n >= min_samples else 1 for row in distances]
    expected = [[max(core[i], core[j], distances[i, j]) for j in range(n)] for i in range(n)]
    found = mutual_reachability(stored(distances), min_samples).toarray()
    for i in range(n):
        for j in range(n):
            assert found[i, j] == (1e-6 if i == j else expected[i][j] if expected[i][j] < 1 else 0)


@given(st.integers(6, 40), st.integers(2, 6), without_ties, st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_a_connected_graph_gives_scikit_learns_clusters(n, min_cluster_size, min_samples, seed):
    distances = distinct(n, np.random.default_rng(seed))
    expected = dense(distances, min_cluster_size, min_samples)
    np.testing.assert_array_equal(hdbscan(stored(distances), min_cluster_size, min_samples), expected)


@given(st.lists(st.integers(6, 14), min_size=2, max_size=5), without_ties, st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_groups_without_anything_in_common_give_scikit_learns_clusters(sizes, min_samples, seed):
    distances = blocks(sizes, np.random.default_rng(seed))
    order = np.random.default_rng(seed).permutation(len(distances))
    distances = distances[order][:, order]
    np.testing.assert_array_equal(hdbscan(stored(distances), 4, min_samples), dense(distances, 4, min_samples))


def test_features_of_several_groups():
    features = grouped_features(8, 12, spread=0.35)
    neighbours = nearest_neighbours(features, 10)
    distances = Jaccard(kind="jaccard", k1=10, k2=3).measure(features, neighbours)
    labels = HDBSCAN(kind="hdbscan", min_cluster_size=5, min_samples=3).cluster(distances, {})
    np.testing.assert_array_equal(labels, np.repeat(np.arange(8), 12))


def test_what_is_far_from_everything_is_an_outlier():
    """An image alone, a pair, and a group smaller than a cluster; in the dense matrix a tie may give them away."""
    distances = blocks([1, 8, 2, 8, 3], np.random.default_rng(0))
    labels = hdbscan(stored(distances), 4, 2)
    assert (labels[[0, 9, 10, 19, 20, 21]] == -1).all()
    assert set(labels) == {-1, 0, 1}


def test_equal_images_are_one_cluster():
    distances = np.ones((12, 12))
    distances[:6, :6] = distances[6:, 6:] = 0
    np.testing.assert_array_equal(hdbscan(stored(distances), 4, 3), [0] * 6 + [1] * 6)


@pytest.mark.parametrize("images", [1, 3, 20])
def test_nothing_near_is_all_outliers(images):
    np.testing.assert_array_equal(hdbscan(csr_matrix((images, images)), 3, 2), [-1] * images)
