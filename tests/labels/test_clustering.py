"""DBSCAN against scikit-learn's, label for label."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from sklearn.cluster import DBSCAN

from harness.errors import UserError
from harness.labels import cluster


@st.composite
def sparse_distances(draw):
    """Symmetric, few distinct values (distances equal to eps abound), with or without a stored diagonal."""
    n = draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    values = rng.integers(0, 11, (n, n)).astype(np.float32) / np.float32(10)
    kept = rng.random((n, n)) < draw(st.floats(0.02, 0.5))
    np.fill_diagonal(kept, draw(st.booleans()))
    values, kept = np.maximum(values, values.T), kept | kept.T
    np.fill_diagonal(values, 0)
    rows, columns = np.nonzero(kept)
    return csr_matrix((values[rows, columns], (rows, columns)), shape=(n, n))


@given(sparse_distances(), st.sampled_from([0.1, 0.3, 0.6, 0.7, 1.0]), st.integers(1, 6))
@settings(max_examples=200, deadline=None)
def test_labels_are_scikit_learns(distances, eps, min_samples):
    expected = DBSCAN(eps=np.float32(eps), min_samples=min_samples, metric="precomputed").fit_predict(distances.copy())
    labels = cluster(distances, eps, min_samples)
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(labels, expected)


def chain(*pairs: tuple[int, int], n: int) -> csr_matrix:
    near = np.ones((n, n), np.float32)
    for a, b in pairs:
        near[a, b] = near[b, a] = 0.5
    rows, columns = np.nonzero(near < 1)
    return csr_matrix((near[rows, columns], (rows, columns)), shape=(n, n))


def test_a_border_image_joins_the_first_cluster():
    # cores 1 and 3 (three images each, themselves included) share the border image 2
    distances = chain((0, 1), (1, 2), (2, 3), (3, 4), n=6)
    np.testing.assert_array_equal(cluster(distances, 0.5, 3), [0, 0, 0, 0, 0, -1])
    distances = chain((0, 1), (1, 2), (1, 5), (2, 3), (3, 4), (3, 6), n=7)
    np.testing.assert_array_equal(cluster(distances, 0.5, 4), [0, 0, 0, 1, 1, 0, 1])


def test_nothing_near_is_all_outliers():
    np.testing.assert_array_equal(cluster(csr_matrix((5, 5), dtype=np.float32), 0.6, 2), [-1] * 5)


@pytest.mark.parametrize(
    ("shape", "eps", "min_samples", "message"),
    [
        ((3, 4), 0.6, 4, "square"),
        ((3, 3), 0, 4, "eps must be positive"),
        ((3, 3), float("nan"), 4, "eps"),
        ((3, 3), 0.6, 0, "eps"),
    ],
)
def test_bad_input_is_named(shape, eps, min_samples, message):
    with pytest.raises(UserError, match=message):
        cluster(csr_matrix(shape, dtype=np.float32), eps, min_samples)
