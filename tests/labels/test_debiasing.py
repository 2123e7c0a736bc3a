"""Features and clusters without what only a camera says, against the formula written out."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UserError
from harness.labels.debiasing import normalize_per_camera, without_single_camera
from harness.labels.label_free import camera_bias
from tests.labels.oracles import clustered


@given(st.integers(0, 2**32), st.integers(16, 60), st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_each_camera_gets_mean_zero_and_deviation_one(seed, n, cameras):
    features = clustered(seed, n)
    camera = np.arange(n) % cameras
    found = normalize_per_camera(torch.from_numpy(features), camera).numpy()
    for i in range(n):
        mine = features[camera == camera[i]].astype(np.float64)
        row = (features[i] - mine.mean(0)) / mine.std(0)
        np.testing.assert_allclose(found[i], row / np.linalg.norm(row), atol=1e-4)


def test_a_camera_of_one_image_or_of_equal_ones_is_seen_against_all():
    features = clustered(1, 30)
    features[1:4] = features[1]
    camera = np.r_[5, 6, 6, 6, np.arange(26) % 2]
    found = normalize_per_camera(torch.from_numpy(features), camera).numpy()
    for i in range(4):
        row = (features[i] - features.mean(0)) / features.std(0)
        np.testing.assert_allclose(found[i], row / np.linalg.norm(row), atol=1e-5)
    assert np.isfinite(found).all()


def test_what_a_camera_adds_is_taken_away():
    rng = np.random.default_rng(0)
    features = torch.from_numpy(clustered(2, 80))
    camera = rng.permutation(np.arange(80) % 2)
    cast, gain = torch.from_numpy(rng.normal(size=(2, 16))).float(), torch.tensor([0.5, 2])
    seen = torch.nn.functional.normalize(features, dim=1) * gain[camera, None] + cast[camera]
    torch.testing.assert_close(
        normalize_per_camera(seen, camera), normalize_per_camera(features, camera), atol=1e-4, rtol=0
    )


def test_clusters_of_a_single_camera_become_outliers():
    labels = np.array([0, 0, 1, 1, 2, 2, -1, 3, 3, 3])
    camera = np.array(["a", "a", "a", "b", "b", "c", "a", "c", "c", "c"])
    kept = without_single_camera(labels, camera)
    np.testing.assert_array_equal(kept, [-1, -1, 0, 0, 1, 1, -1, -1, -1, -1])
    assert camera_bias(kept, camera) < camera_bias(labels, camera)
    np.testing.assert_array_equal(without_single_camera(labels, np.zeros(10)), np.full(10, -1))
    np.testing.assert_array_equal(without_single_camera(np.full(4, -1), np.arange(4)), np.full(4, -1))
    with pytest.raises(UserError, match="one camera for each of 10 images"):
        without_single_camera(labels, camera[1:])
