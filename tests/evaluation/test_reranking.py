"""Re-ranking against the published algorithm, written with all distances at hand, one image after the other."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UserError
from harness.evaluation import RerankedDistances, evaluate_distances, rerank, reranking
from harness.labels import neighbours
from tests.labels.oracles import clustered
from tests.pretend.accelerator import GPU, pretend_gpu


def split(features, queries):
    return features[:queries], features[queries:]


def published(query, gallery, k1, k2, lambda_value):
    """Zhong et al.'s steps in float64; of equally distant images the one with the lower index comes first."""
    x = np.concatenate([query, gallery]).astype(np.float64)
    n = len(x)
    squared = ((x[:, None] - x[None]) ** 2).sum(-1)
    relative = (squared / squared.max(axis=0)).T
    ranked = np.argsort(relative, axis=1, kind="stable")

    def reciprocal(i, k):
        return {int(j) for j in ranked[i, : k + 1] if i in ranked[j, : k + 1]}

    weights = np.zeros((n, n))
    for i in range(n):
        own = reciprocal(i, k1)
        members = set(own)
        for candidate in own:
            half = reciprocal(candidate, int(np.around(k1 / 2)))
            if len(half & own) > 2 / 3 * len(half):
                members |= half
        members = sorted(members)
        raw = np.exp(-relative[i, members])
        weights[i, members] = raw / raw.sum()
    expanded = weights if k2 == 1 else np.stack([weights[ranked[i, :k2]].mean(axis=0) for i in range(n)])
    shared = np.stack([np.minimum(row, expanded).sum(axis=1) for row in expanded[: len(query)]])
    jaccard = 1 - shared / (2 - shared)
    return (lambda_value * relative[: len(query)] + (1 - lambda_value) * jaccard)[:, len(query) :]


@pytest.mark.parametrize(
    ("queries", "gallery", "k1", "k2", "lambda_value"),
    [(30, 150, 20, 6, 0.3), (20, 90, 15, 4, 0.0), (25, 60, 25, 1, 1.0), (10, 40, 5, 9, 0.5), (1, 6, 1, 1, 0.3)],
)
def test_distances_are_those_of_the_published_algorithm(queries, gallery, k1, k2, lambda_value):
    query, images = split(clustered(gallery, queries + gallery), queries)
    found = rerank(query, images, k1, k2, lambda_value)
    assert found.shape == (queries, gallery)
    np.testing.assert_allclose(found, published(query, images, k1, k2, lambda_value), atol=2e-6)


@given(
    st.integers(0, 2**32), st.integers(1, 15), st.integers(1, 40), st.integers(1, 20), st.integers(1, 8),
    st.floats(0, 1), st.floats(0.1, 2), st.booleans(),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_whatever_the_numbers(seed, queries, gallery, k1, k2, lambda_value, noise, as_they_are):
    """Also of features that are not normalized: they are compared as they are."""
    features = clustered(seed, queries + gallery, d=6, noise=noise)
    if as_they_are:
        features = features * np.random.default_rng(seed).uniform(0.5, 20, (len(features), 1)).astype(np.float32)
    query, images = split(features, queries)
    if len(features) < max(k1 + 1, k2):
        with pytest.raises(UserError, match=f"wants {max(k1 + 1, k2)} images .* have {len(features)} together"):
            rerank(query, images, k1, k2, lambda_value)
        return
    expected = published(query, images, k1, k2, lambda_value)
    found = rerank(query, images, k1, k2, lambda_value)
    # What is small beside the features' lengths is lost in float32: 1 - 0.999.
    lengths = (features.astype(np.float64) ** 2).sum(1)
    spread = ((features[:, None].astype(np.float64) - features[None]) ** 2).sum(-1).max(axis=1)
    np.testing.assert_allclose(found, expected, atol=2e-6 + 4e-7 * lengths.max() / spread.min())


@given(st.integers(0, 2**32), st.integers(2, 12), st.integers(1, 4))
@settings(max_examples=15, deadline=None)
def test_of_equal_images_the_first_comes_first(seed, k1, k2):
    """VeRi-776 has every query also in its gallery; its release orders such ties by chance, ours by index."""
    one = clustered(seed, 20, d=6)
    query, images = split(np.concatenate([one, one[:15]]), 12)
    np.testing.assert_allclose(rerank(query, images, k1, k2), published(query, images, k1, k2, 0.3), atol=2e-6)


def test_defaults_are_the_papers():
    query, images = split(clustered(3, 120), 20)
    np.testing.assert_array_equal(rerank(query, images), rerank(query, images, 20, 6, 0.3))


def test_rows_read_like_the_matrix(monkeypatch):
    query, images = split(clustered(5, 90), 17)
    found = rerank(query, images)
    whole = np.asarray(found)
    assert isinstance(found, RerankedDistances)
    assert whole.dtype == np.float32
    assert len(found) == 17

    def same(part, expected):
        assert part.shape == expected.shape
        np.testing.assert_allclose(part, expected, atol=1e-6)

    same(found[3], whole[3])
    same(found[-1], whole[-1])
    same(found[2:5], whole[2:5])
    same(found[5:5], whole[5:5])
    same(found[[7, 1, 1]], whole[[7, 1, 1]])
    same(found[whole[:, 0] > 0.5], whole[whole[:, 0] > 0.5])
    same(found[4:6, :3], whole[4:6, :3])
    same(found[4, 2], whole[4, 2])
    same(np.stack(list(found)), whole)
    same(np.asarray(found, np.float64), whole.astype(np.float64))
    with pytest.raises(IndexError):
        found[17]
    monkeypatch.setattr(reranking, "BLOCK_BYTES", 4 * 73 * 5)
    assert [len(block) for block in found.blocks()] == [5, 5, 5, 2]
    same(np.concatenate(list(found.blocks())), whole)


def test_scores_are_those_of_the_whole_matrix():
    query, images = split(clustered(8, 140), 30)
    labels = np.arange(30) % 9, np.arange(110) % 9, np.arange(30) % 4, np.arange(110) % 5
    found = rerank(query, images)
    ours, whole = (evaluate_distances(distances, *labels, top_k=5) for distances in (found, np.asarray(found)))
    np.testing.assert_allclose(ours.ap, whole.ap)
    np.testing.assert_array_equal(ours.top, whole.top)


def test_tensors_are_taken_as_arrays_are():
    query, images = split(clustered(1, 80), 15)
    expected = np.asarray(rerank(query, images))
    for kind in (torch.float32, torch.float64):
        tensors = torch.from_numpy(query).to(kind), torch.from_numpy(images).to(kind)
        np.testing.assert_array_equal(np.asarray(rerank(*tensors)), expected)


def test_a_device_finds_the_same():
    query, images = split(clustered(1, 80), 20)
    expected = published(query, images, 20, 6, 0.3)
    with pretend_gpu():
        found = rerank(torch.from_numpy(query).to(GPU), torch.from_numpy(images).to(GPU))
        np.testing.assert_allclose(np.asarray(found), expected, atol=2e-6)
        np.testing.assert_allclose(found[[3, 1]], expected[[3, 1]], atol=2e-6)


@pytest.mark.parametrize("tile", [(37, 50), (64, 96), (1024, 16384)], ids=str)
def test_the_search_is_a_sort_of_all_distances(monkeypatch, tile):
    """Tiles that do not divide the matrix, so that every border is crossed; features of any length."""
    monkeypatch.setattr(neighbours, "TILE_ROWS", tile[0])
    monkeypatch.setattr(neighbours, "TILE_COLUMNS", tile[1])
    monkeypatch.setattr(neighbours, "DEVICE_TILE", 40 * tile[0])
    features = clustered(4, 231) * np.random.default_rng(4).uniform(0.5, 2, (231, 1)).astype(np.float32)
    squared = ((features[:, None].astype(np.float64) - features[None]) ** 2).sum(-1)
    for near, far in (
        neighbours.nearest_and_farthest(features, 12),
        neighbours.nearest_and_farthest_on_device(torch.from_numpy(features), 12),
    ):
        np.testing.assert_array_equal(near.indices, np.argsort(squared, axis=1, kind="stable")[:, :12])
        np.testing.assert_array_equal(far, squared.argmax(axis=1))
        np.testing.assert_allclose(near.similarities, -np.sort(squared, axis=1)[:, :12] / 2, atol=2e-6)


def test_what_cannot_be_ranked_is_refused():
    query, images = split(clustered(2, 15), 5)
    with pytest.raises(UserError, match=r"k1 = 20 and k2 = 6 wants 21 images .* have 15 together: lower k1"):
        rerank(query, images)
    for k1, k2, lambda_value, said in ((0, 1, 0.3, "k1 and k2"), (3, 0, 0.3, "k1 and k2"), (3, 1, 1.5, "lambda_value")):
        with pytest.raises(UserError, match=said):
            rerank(query, images, k1, k2, lambda_value)
    with pytest.raises(UserError, match="query features have shape"):
        rerank(query, images[:, :3], 3, 1)
    spoilt = images.copy()
    spoilt[4, 0] = np.nan
    with pytest.raises(UserError, match="gallery features: row 4 contains NaN"):
        rerank(query, spoilt, 3, 1)
    spoilt[4] = 0
    with pytest.raises(UserError, match="gallery features: row 4 has norm zero"):
        rerank(query, spoilt, 3, 1)
    with pytest.raises(UserError, match="all images have the same features"):
        rerank(np.ones((3, 4)), np.ones((30, 4)))
