"""Nearest neighbours against a full, stable sort."""

import numpy as np
import pytest
import torch

from harness.errors import UserError
from harness.labels import nearest_neighbours, neighbours
from tests.labels.oracles import clustered


def sorted_neighbours(features, k):
    return np.argsort(-(features @ features.T), axis=1, kind="stable")[:, :k]


@pytest.fixture(params=[(37, 50), (64, 96), (1024, 16384)], ids=str)
def tiles(request, monkeypatch):
    """Tiles that do not divide the matrix, so that every border is crossed."""
    monkeypatch.setattr(neighbours, "TILE_ROWS", request.param[0])
    monkeypatch.setattr(neighbours, "TILE_COLUMNS", request.param[1])


@pytest.mark.parametrize(("n", "k"), [(300, 30), (131, 1), (64, 64), (1, 3), (2, 2)])
def test_equals_a_sort(tiles, n, k):
    features = clustered(n, n)
    found = nearest_neighbours(features, k)
    k = min(k, n)
    np.testing.assert_array_equal(found.indices, sorted_neighbours(features, k))
    expected = np.take_along_axis(features @ features.T, found.indices.astype(int), axis=1)
    np.testing.assert_allclose(found.similarities, expected, atol=1e-6)
    assert (found.search, found.recall) == ("exact", 1)


def test_ties_go_to_the_lower_index(tiles):
    rng = np.random.default_rng(0)
    features = rng.choice(np.float32([-0.25, 0.25]), (200, 16))  # exact products, many of them equal
    np.testing.assert_array_equal(nearest_neighbours(features, 20).indices, sorted_neighbours(features, 20))


@pytest.mark.parametrize("tile", [1, 2_000, 2**26])
def test_device_search_finds_the_same(monkeypatch, tile):
    monkeypatch.setattr(neighbours, "DEVICE_TILE", tile)
    rng = np.random.default_rng(1)
    for features in (clustered(1, 150), rng.choice(np.float32([-0.25, 0.25]), (150, 16)), clustered(1, 10)):
        expected, found = nearest_neighbours(features, 10), neighbours.search_on_device(torch.from_numpy(features), 10)
        np.testing.assert_array_equal(found.indices, expected.indices)
        np.testing.assert_allclose(found.similarities, expected.similarities, atol=1e-6)
        assert (found.search, found.recall) == ("exact on cpu", 1)


def test_approximate_search_tells_its_recall():
    features = clustered(2, 600)
    exact, found = nearest_neighbours(features, 10), nearest_neighbours(features, 10, approximate_above=500)
    shared = [len(np.intersect1d(a, b)) / 10 for a, b in zip(exact.indices, found.indices, strict=True)]
    assert found.search == "hnsw"
    assert found.recall == pytest.approx(np.mean(shared), abs=1e-9)  # fewer rows than the sample: the recall is exact
    assert found.recall > 0.9
    assert nearest_neighbours(features, 10, approximate_above=600).search == "exact"


def test_an_approximate_search_of_identical_images_finds_k_of_them():
    features = np.tile(np.float32([0.6, 0.8]), (300, 1))
    features[::2] = [1, 0]
    found = nearest_neighbours(features, 40, approximate_above=100)
    assert found.indices.min() >= 0
    assert all(len(set(row)) == 40 for row in found.indices.tolist())
    assert (np.diff(found.similarities, axis=1) <= 0).all()
    tied = np.diff(found.similarities, axis=1) == 0
    assert (np.diff(found.indices, axis=1)[tied] > 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x * np.float32(np.nan), "row 0 contains NaN"),
        (lambda x: np.where(np.arange(20)[:, None] == 4, 0, x), "row 4 has norm zero"),
        (lambda x: np.where(np.arange(20)[:, None] == 7, 2 * x, x), "row 7 is not L2-normalized"),
        (lambda x: x[0], "must be a non-empty matrix"),
        (lambda x: x[:0], "must be a non-empty matrix"),
    ],
)
def test_bad_features_are_named(change, message):
    with pytest.raises(UserError, match=message):
        nearest_neighbours(change(clustered(0, 20)), 5)


def test_k_must_be_positive():
    with pytest.raises(UserError, match="at least 1"):
        nearest_neighbours(clustered(0, 20), 0)
