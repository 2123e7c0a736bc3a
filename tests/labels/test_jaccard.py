"""The sparse Jaccard distance against the dense algorithm."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import DBSCAN

from harness.errors import UserError
from harness.labels import Neighbours, cluster, jaccard_distance, nearest_neighbours
from harness.labels.jaccard import distances_of, expand, weigh
from tests.labels.oracles import (
    clustered,
    dense_distance,
    dense_expansion,
    dense_jaccard,
    expanded_set,
    rounded_half,
)


def filled(sparse):
    """Dense, with 1 where nothing is stored."""
    full = np.ones(sparse.shape, np.float32)
    rows = np.repeat(np.arange(sparse.shape[0]), np.diff(sparse.indptr))
    full[rows, sparse.indices] = sparse.data
    return full


def with_duplicates(seed, n):
    features = clustered(seed, n)
    features[n // 2 :] = features[: n - n // 2]
    return features


SETTINGS = [(clustered, 150, 30, 6), (clustered, 260, 20, 1), (clustered, 90, 25, 4), (with_duplicates, 120, 15, 6)]


@pytest.mark.parametrize(("make", "n", "k1", "k2"), SETTINGS)
def test_distances_and_labels_are_those_of_the_dense_algorithm(make, n, k1, k2):
    features = make(n, n)
    dense = dense_jaccard(features, nearest_neighbours(features, k1).indices, k2)
    np.testing.assert_allclose(filled(jaccard_distance(features, k1, k2, 1.0)), dense, atol=1e-6)
    for eps in (0.4, 0.6):
        near = jaccard_distance(features, k1, k2, eps)
        expected = DBSCAN(eps=eps, min_samples=4, metric="precomputed").fit_predict(dense)
        np.testing.assert_array_equal(cluster(near, eps, 4), expected)


@pytest.mark.parametrize("k1", [5, 10, 15, 20, 25, 30, 35])
def test_half_of_k1_is_rounded_to_even_and_the_sets_are_exact(k1):
    assert rounded_half(k1) == {5: 2, 10: 5, 15: 8, 20: 10, 25: 12, 30: 15, 35: 18}[k1]
    features = clustered(k1, 110, noise=0.8)
    near = nearest_neighbours(features, k1)
    start, columns, weights = weigh(features, near)
    for i in range(len(features)):
        np.testing.assert_array_equal(columns[start[i] : start[i + 1]], expanded_set(near.indices, i))
        assert weights[start[i] : start[i + 1]].sum() == pytest.approx(1, abs=1e-6)


@given(st.integers(0, 2**32), st.integers(2, 60), st.integers(1, 20), st.integers(1, 8))
@settings(max_examples=30, deadline=None)
def test_after_the_weights_every_bit_is_that_of_the_dense_algorithm(seed, n, k1, k2):
    features = clustered(seed, n, d=6)
    near = nearest_neighbours(features, k1)
    start, columns, values = weigh(features, near)
    weights = np.zeros((n, n), np.float32)
    weights[np.repeat(np.arange(n), np.diff(start)), columns] = values
    dense = dense_distance(dense_expansion(weights, near.indices, k2))
    rows = expand((start, columns, values), near.indices, k2)
    np.testing.assert_array_equal(filled(distances_of(rows, 1.0)), dense)
    np.testing.assert_array_equal(filled(jaccard_distance(features, k1, k2, 1.0)), dense)


@pytest.mark.parametrize(("size", "shared"), [(3, 2), (3, 3), (6, 4), (6, 5), (9, 6), (9, 7)])
def test_two_thirds_itself_is_not_enough(size, shared):
    """Candidate 1 has `size` half-neighbours, `shared` of them reciprocal neighbours of image 0: 3 * shared > 2 *
    size."""
    k1 = 2 * (size - 1)
    common = [0, 1, *range(2, shared)]
    strangers = list(range(50, 50 + size - shared))
    ranked = np.full((150, k1), -1, np.int32)
    ranked[:] = np.arange(150)[:, None]
    ranked[0, : len(common)] = common
    for image in (*common[1:], *strangers):
        first = [image, *(c for c in (*common, *strangers) if c != image)][:size]
        ranked[image, : len(first)] = first
    features = np.eye(150, dtype=np.float32)
    near = Neighbours(ranked, np.zeros(ranked.shape, np.float32), "by hand", 1.0)
    start, columns, _ = weigh(features, near)
    members = columns[start[0] : start[1]].tolist()
    assert members == expanded_set(ranked, 0)
    assert set(strangers) <= set(members) if 3 * shared > 2 * size else not set(strangers) & set(members)


def test_fewer_images_than_k1():
    features = clustered(3, 7)
    near = nearest_neighbours(features, 30)
    assert near.indices.shape == (7, 7)
    dense = dense_jaccard(features, near.indices, 6)
    np.testing.assert_allclose(filled(jaccard_distance(features, 30, 6, 1.0)), dense, atol=1e-6)


@pytest.mark.parametrize("noise", [0.3, 0.6, 1.2])
@pytest.mark.parametrize("k2", [1, 6])
def test_what_is_looked_through_hides_nothing(noise, k2):
    """The overlaps in the heavy columns alone decide what is summed up: the same is kept at every reach."""
    features = clustered(7, 400, noise=noise)
    everything = jaccard_distance(features, 30, k2, 1.0)
    for reach in np.float32([0, 1e-6, 0.2, 0.45, 0.6, 0.75, 0.9, 0.99]):
        near = jaccard_distance(features, 30, k2, float(reach))
        rows = np.repeat(np.arange(400), np.diff(everything.indptr))
        kept = everything.data <= reach
        np.testing.assert_array_equal(near.indices, everything.indices[kept])
        np.testing.assert_array_equal(near.data, everything.data[kept])
        np.testing.assert_array_equal(np.repeat(np.arange(400), np.diff(near.indptr)), rows[kept])


@pytest.mark.parametrize("n", [1, 2, 40])
def test_identical_images_are_one_cluster(n):
    features = np.tile(np.float32([0.6, 0.8]), (n, 1))
    near = jaccard_distance(features, 30, 6, 0.6)
    assert near.nnz == n * n
    assert near.data.max() <= 1e-6
    np.testing.assert_array_equal(cluster(near, 0.6, 1), np.zeros(n))


def test_more_duplicates_than_k1_without_expansion_leave_empty_rows():
    features = np.tile(np.float32([0.6, 0.8]), (20, 1))
    near = jaccard_distance(features, 5, 1, 0.6)
    assert np.diff(near.indptr).tolist() == [5] * 5 + [0] * 15
    np.testing.assert_array_equal(cluster(near, 0.6, 4), [0] * 5 + [-1] * 15)


def test_what_is_kept():
    features = with_duplicates(5, 200)
    near, far = jaccard_distance(features, 20, 6, 0.5), jaccard_distance(features, 20, 6, 1.0)
    assert near.dtype == np.float32
    assert near.has_sorted_indices
    assert near.data.max() <= np.float32(0.5)
    assert near.nnz == (far.data <= np.float32(0.5)).sum()
    assert (near != near.T).nnz == 0
    assert 0 <= near.diagonal().max() <= 1e-6
    assert len(near.data) == near.nnz == len(near.indices)


@pytest.mark.parametrize(
    "convert",
    [
        lambda x: x.astype(np.float64),
        np.asfortranarray,
        lambda x: np.repeat(x, 2, axis=1)[:, ::2],
        torch.from_numpy,
        lambda x: torch.from_numpy(x).requires_grad_(),
        lambda x: x.tolist(),
    ],
    ids=["float64", "Fortran", "strided", "torch", "torch with gradient", "lists"],
)
def test_any_kind_of_features(convert):
    features = clustered(6, 80)
    expected, found = jaccard_distance(features, 10, 4, 0.6), jaccard_distance(convert(features), 10, 4, 0.6)
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.data, expected.data)


def test_float16_features_are_what_they_are_in_float32():
    features = clustered(6, 80)
    half = filled(jaccard_distance(features.astype(np.float16), 10, 4, 1.0))
    exact = filled(jaccard_distance(features.astype(np.float16).astype(np.float32), 10, 4, 1.0))
    np.testing.assert_array_equal(half, exact)
    tensor = filled(jaccard_distance(torch.from_numpy(features).half(), 10, 4, 1.0))
    np.testing.assert_array_equal(tensor, exact)


def test_bad_input_is_named():
    features = clustered(0, 20)
    for k1, k2 in ((0, 6), (20, 0)):
        with pytest.raises(UserError, match="at least 1"):
            jaccard_distance(features, k1, k2, 0.6)
    with pytest.raises(UserError, match="not L2-normalized"):
        jaccard_distance(3 * features, 10, 4, 0.6)
    for broken, message in ((np.nan, "row 3 contains NaN"), (np.inf, "row 3 .* infinity"), (0, "row 3 has norm zero")):
        changed = np.where(np.arange(20)[:, None] == 3, np.float32(broken), features)
        for neighbours in (None, nearest_neighbours(features, 10)):
            with pytest.raises(UserError, match=message):
                jaccard_distance(changed, 10, 4, 0.6, neighbours=neighbours)
    with pytest.raises(UserError, match="5 neighbours of 10 images do not fit features of 20"):
        jaccard_distance(features, 5, 4, 0.6, neighbours=nearest_neighbours(features[:10], 5))
    with pytest.raises(UserError, match="5 neighbours of 20 images do not fit features of 20 images and k1 = 6"):
        jaccard_distance(features, 6, 4, 0.6, neighbours=nearest_neighbours(features, 5))


def test_images_of_one_identity_are_one_cluster():
    rng = np.random.default_rng(0)
    features = np.float32(1) + np.float32(0.01) * rng.standard_normal((25, 16), dtype=np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    np.testing.assert_array_equal(cluster(jaccard_distance(features, 30, 6, 0.6), 0.6, 4), np.zeros(25))
