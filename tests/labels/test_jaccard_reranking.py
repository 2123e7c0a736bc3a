"""The Jaccard distance of the re-ranking code, and the radius that MMT and SSKD read off it, against their formulas."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from harness.errors import UserError
from harness.labels import nearest_neighbours, reranking_jaccard_distance
from harness.labels.clusterings.dbscan_data_driven import mean_of_smallest
from harness.labels.distances import RerankingJaccard
from harness.labels.distances.base import Distances
from harness.labels.jaccard import farthest_distances
from tests.labels.oracles import clustered
from tests.labels.test_jaccard import filled, with_duplicates


def dense_reranking_jaccard(features, ranked, k1, k2):
    """Zhong et al.'s steps with all distances at hand, in float64; `ranked` [N, N] are all images by distance."""
    n, x = len(features), features.astype(np.float64)
    squared = ((x[:, None] - x[None]) ** 2).sum(-1)
    relative = squared / squared.max(axis=1, keepdims=True)

    def reciprocal(i, k):
        return {int(j) for j in ranked[i, : k + 1] if i in ranked[j, : k + 1]}

    weights = np.zeros((n, n))
    for i in range(n):
        own = reciprocal(i, k1)
        members = set(own)
        for candidate in own:
            other = reciprocal(candidate, int(np.around(k1 / 2)))
            if len(other & own) > 2 / 3 * len(other):
                members |= other
        members = sorted(members)
        raw = np.exp(-relative[i, members])
        weights[i, members] = raw / raw.sum()
    expanded = np.stack([weights[ranked[i, :k2]].mean(axis=0) for i in range(n)])
    shared = np.minimum(expanded[:, None], expanded[None]).sum(-1)
    return np.maximum(1 - shared / (2 - shared), 0)


def ranking(features):
    return nearest_neighbours(features, len(features)).indices


@pytest.mark.parametrize(("n", "k1", "k2"), [(150, 20, 6), (140, 15, 4), (90, 5, 1), (110, 25, 3)])
def test_distances_are_those_of_the_formula(n, k1, k2):
    features = clustered(n, n)
    dense = dense_reranking_jaccard(features, ranking(features), k1, k2)
    np.testing.assert_allclose(filled(reranking_jaccard_distance(features, k1, k2, 1.0)), dense, atol=2e-6)
    near = reranking_jaccard_distance(features, k1, k2, 0.5)
    assert near.nnz == (filled(reranking_jaccard_distance(features, k1, k2, 1.0)) <= np.float32(0.5)).sum()
    assert (near != near.T).nnz == 0


@given(st.integers(0, 2**32), st.integers(2, 50), st.integers(1, 20), st.integers(1, 8), st.floats(0.1, 2))
@settings(max_examples=40, deadline=None)
def test_whatever_the_numbers_distances_are_those_of_the_formula(seed, n, k1, k2, noise):
    features = clustered(seed, n, d=6, noise=noise)
    k2 = min(k2, k1 + 1)
    dense = dense_reranking_jaccard(features, ranking(features), k1, k2)
    tolerance = 2e-6 / farthest_distances(features).min()  # what float32 loses of 2 - 2xy, the division enlarges
    np.testing.assert_allclose(filled(reranking_jaccard_distance(features, k1, k2, 1.0)), dense, atol=tolerance)


def test_k1_counts_the_others_and_weights_are_relative():
    """Three images on an arc: with k1 = 1 each sees its nearest other; the farthest of all scales the weights."""
    angle = np.array([0, 0.2, 1.5])
    features = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    distance = filled(reranking_jaccard_distance(features, 1, 1, 1.0))
    near, far = [2 - 2 * np.cos(a) for a in (0.2, 1.5)]
    first = np.array([1, np.exp(-near / far)]) / (1 + np.exp(-near / far))
    last = 2 - 2 * np.cos(1.3)
    second = np.array([np.exp(-near / last), 1]) / (1 + np.exp(-near / last))
    shared = np.minimum(first, second).sum()
    assert distance[0, 1] == pytest.approx(1 - shared / (2 - shared), abs=1e-6)
    assert distance[0, 2] == distance[1, 2] == 1


@pytest.mark.parametrize("n", [1, 30, 2500])
def test_the_farthest_of_all_images_is_found_in_blocks(n, monkeypatch):
    monkeypatch.setattr("harness.labels.neighbours.TILE_COLUMNS", 1500)
    features = clustered(1, n)
    expected = 2 - 2 * (features @ features.T).min(axis=1)
    np.testing.assert_allclose(farthest_distances(features), expected if n > 1 else [1], atol=1e-6)
    np.testing.assert_allclose(farthest_distances(torch.from_numpy(features)), farthest_distances(features))


def test_identical_images_have_distance_zero():
    features = np.tile(np.float32([0.6, 0.8]), (12, 1))
    np.testing.assert_array_equal(farthest_distances(features), np.ones(12))
    near = reranking_jaccard_distance(features, 20, 6, 0.5)
    assert near.nnz == 144
    assert near.data.max() <= 1e-6


@pytest.mark.parametrize("rho", [1.6e-3, 0.02, 0.4])
def test_the_radius_is_that_of_the_releases(rho):
    """The mean of the first round(rho * count) of the distances above the diagonal that are not zero to the bit."""
    features = with_duplicates(4, 160)
    near = nearest_neighbours(features, 21)
    dense = filled(reranking_jaccard_distance(features, 20, 6, 1.0))
    above = np.sort(dense[np.triu_indices(len(dense), 1)])
    above = above[above > 0]
    expected = above[: round(rho * len(above))].mean(dtype=np.float64)
    measured = RerankingJaccard(kind="jaccard-reranking", k1=20, k2=6).measure(features, near)
    assert mean_of_smallest(measured, rho) == pytest.approx(expected, abs=1e-6)


def test_what_rounding_left_of_zero_counts_where_its_release_counts_it():
    distance = np.float32([[0, 2e-7, 0.4], [2e-7, 0, 0.5], [0.4, 0.5, 0]])
    for rounding, expected in ((0, np.float32(2e-7)), (1e-6, np.float32(0.4))):
        measured = Distances(3, lambda reach: csr_matrix(np.where(distance <= reach, distance, 0)), rounding)
        assert mean_of_smallest(measured, 0.5 if rounding else 0.34) == pytest.approx(expected, rel=1e-6)


def test_bad_input_is_named():
    features = clustered(0, 20)
    with pytest.raises(UserError, match="at least 1"):
        reranking_jaccard_distance(features, 0, 6, 0.6)
    with pytest.raises(UserError, match="5 neighbours of 20 images do not fit features of 20 images and k1 = 5"):
        reranking_jaccard_distance(features, 5, 4, 0.6, neighbours=nearest_neighbours(features, 5))
    with pytest.raises(UserError, match="k2 looks at 7 neighbours, but k1 = 5 finds 6"):
        reranking_jaccard_distance(features, 5, 7, 0.6)
    with pytest.raises(ValueError, match="k2 looks at 7 neighbours, but k1 = 5 finds 6"):
        RerankingJaccard(kind="jaccard-reranking", k1=5, k2=7)
    with pytest.raises(UserError, match="not L2-normalized"):
        reranking_jaccard_distance(3 * features, 10, 4, 0.6)
