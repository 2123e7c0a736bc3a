"""The sparse camera-aware Jaccard distance against the dense formula."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from harness.errors import UserError
from harness.labels import ca_jaccard_distance, cluster, nearest_neighbours
from harness.labels import neighbours as search
from harness.labels.camera_neighbours import neighbours_by_camera, search_on_device
from harness.labels.distances import CAJaccard
from tests.labels.oracles import clustered, dense_distance
from tests.labels.test_jaccard import filled


def dense_ca_jaccard(features, cameras, k1_intra, k1_inter, k2_intra, k2_inter):
    """The formula of harness/labels/ca_jaccard.py over whole matrices, image by image."""
    n = len(features)
    similarity = features @ features.T

    def nearest(i, k, same):
        allowed = [j for j in range(n) if (cameras[j] == cameras[i]) == same]
        return sorted(allowed, key=lambda j: (-similarity[i, j], cameras[j], j))[:k]

    own = [nearest(i, k1_intra + 1, True) for i in range(n)]
    others = [nearest(i, k1_inter + 1, False) for i in range(n)]
    weights = np.zeros((n, n), np.float32)
    for i in range(n):
        mutual = [j for j in own[i] if i in own[j]] + [j for j in others[i] if i in others[j]]
        raw = np.exp(2 * similarity[i, mutual] - 2)
        weights[i, mutual] = raw / raw.sum() if mutual else 0
    expanded = np.stack([weights[own[i][:k2_intra] + others[i][:k2_inter]].mean(0) for i in range(n)])
    return dense_distance(expanded)


def scene(seed, n, cameras, noise=0.5):
    features = clustered(seed, n, noise=noise)
    return features, np.random.default_rng(seed).integers(0, cameras, n)


SETTINGS = [
    (120, 4, 5, 20, 2, 4),
    (150, 6, 5, 20, 3, 3),
    (90, 3, 8, 12, 1, 1),
    (60, 2, 2, 5, 3, 6),
    (40, 9, 5, 20, 2, 4),
]


@pytest.mark.parametrize(("n", "cameras", "k1_intra", "k1_inter", "k2_intra", "k2_inter"), SETTINGS)
def test_distances_and_labels_are_those_of_the_dense_formula(n, cameras, k1_intra, k1_inter, k2_intra, k2_inter):
    features, camera = scene(n, n, cameras)
    k = (k1_intra, k1_inter, k2_intra, k2_inter)
    dense = dense_ca_jaccard(features, camera, *k)
    np.testing.assert_allclose(filled(ca_jaccard_distance(features, camera, *k, 1)), dense, atol=1e-6)
    from sklearn.cluster import DBSCAN

    for eps in (0.4, 0.6):
        near = ca_jaccard_distance(features, camera, *k, eps)
        assert near.data.max() <= np.float32(eps)
        expected = DBSCAN(eps=eps, min_samples=4, metric="precomputed").fit_predict(dense)
        np.testing.assert_array_equal(cluster(near, eps, 4), expected)


@given(st.integers(0, 2**32), st.integers(2, 50), st.integers(1, 6), st.integers(1, 6), st.integers(1, 9))
@settings(max_examples=25, deadline=None)
def test_any_sizes_of_cameras_and_neighbourhoods(seed, n, cameras, k1_intra, k1_inter):
    """Also one camera only, cameras of one image, and fewer images than neighbours."""
    features, camera = scene(seed, n, cameras)
    k = (k1_intra, k1_inter, (k1_intra + 1) // 2, (k1_inter + 1) // 2)
    found = ca_jaccard_distance(features, camera, *k, 1)
    np.testing.assert_allclose(filled(found), dense_ca_jaccard(features, camera, *k), atol=1e-6)
    assert (found != found.T).nnz == 0
    assert found.has_sorted_indices


def test_cameras_of_one_image_and_one_camera_alone():
    features = clustered(3, 40)
    alone = np.r_[7, np.zeros(19, int), np.ones(20, int)]
    expected = dense_ca_jaccard(features, alone, 5, 20, 2, 4)
    np.testing.assert_allclose(filled(ca_jaccard_distance(features, alone)), expected, atol=1e-6)
    same = np.zeros(40)
    np.testing.assert_allclose(
        filled(ca_jaccard_distance(features, same, 5, 20, 2, 4, 1)),
        dense_ca_jaccard(features, same, 5, 20, 2, 4),
        atol=1e-6,
    )


def test_tiles_of_any_size_find_the_same(monkeypatch):
    features, camera = scene(5, 300, 5)
    whole = neighbours_by_camera(features, camera, 6, 21)
    monkeypatch.setattr(search, "TILE_ROWS", 17)
    monkeypatch.setattr(search, "TILE_COLUMNS", 23)
    tiled = neighbours_by_camera(features, camera, 6, 21)
    np.testing.assert_array_equal(tiled.indices, whole.indices)
    np.testing.assert_allclose(tiled.similarities, whole.similarities, atol=1e-6)
    both = np.sort(nearest_neighbours(features, 300).indices)
    assert (np.sort(neighbours_by_camera(features, camera, 300, 300).indices)[:, 300:] == both).all()


def test_a_device_finds_the_same(monkeypatch):
    features, camera = scene(6, 120, 4)
    camera[5] = 9  # alone
    order = np.argsort(np.unique(camera, return_inverse=True)[1], kind="stable")
    monkeypatch.setattr(search, "DEVICE_TILE", 1000)
    found = search_on_device(torch.from_numpy(features)[order], camera[order], 6, 130)
    expected = neighbours_by_camera(features, camera, 6, 130)
    np.testing.assert_array_equal(np.where(found.indices < 0, -1, order[found.indices]), expected.indices[order])
    np.testing.assert_allclose(found.similarities, expected.similarities[order], atol=1e-6)


def test_cameras_may_have_names_and_come_as_tensors():
    features, camera = scene(8, 60, 3)
    expected = ca_jaccard_distance(features, camera, max_distance=0.6)
    for given_cameras in (np.array(["door", "hall", "yard"])[camera], torch.from_numpy(camera), camera.tolist()):
        found = ca_jaccard_distance(torch.from_numpy(features), given_cameras, max_distance=0.6)
        np.testing.assert_array_equal(found.toarray(), expected.toarray())


def test_bad_input_is_named():
    features, camera = scene(0, 20, 3)
    with pytest.raises(UserError, match="one camera for each of 20 images, not an array of shape \\(19,\\)"):
        ca_jaccard_distance(features, camera[1:])
    with pytest.raises(UserError, match="not L2-normalized"):
        ca_jaccard_distance(3 * features, camera)
    with pytest.raises(UserError, match="at least 1"):
        ca_jaccard_distance(features, camera, 0)
    with pytest.raises(UserError, match="at most k1 \\+ 1"):
        ca_jaccard_distance(features, camera, 2, 20, 4)
    near = neighbours_by_camera(features, camera, 6, 21)
    with pytest.raises(UserError, match=r"neighbours of shape \(20, 27\) do not fit: \(20, 26\)"):
        ca_jaccard_distance(features, camera, 4, 20, neighbours=near)
    with pytest.raises(ValidationError, match="k2_intra 9 is more than the 6 neighbours"):
        CAJaccard(kind="ca-jaccard", k1_intra=5, k1_inter=20, k2_intra=9, k2_inter=4)
