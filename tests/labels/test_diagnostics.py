"""Label quality, SpCL's reliability and the data-driven eps against their dense definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UserError
from harness.labels import data_driven_eps, label_quality, nearest_neighbours, self_paced_reliability
from tests.labels.oracles import clustered, dense_jaccard


def test_quality_by_hand():
    quality = label_quality([0, 0, 0, 1, 1, -1], ["a", "a", "b", "b", "b", "a"])
    assert (quality.clusters, quality.outlier_share, quality.purity) == pytest.approx((2, 1 / 6, 4 / 5))
    perfect = label_quality([1, 1, 0, 0], [5, 5, 7, 7])
    assert (perfect.ari, perfect.nmi, perfect.purity) == pytest.approx((1, 1, 1))
    one = label_quality([0, 0, 0, 0], [5, 5, 7, 7])
    assert (one.clusters, one.ari, one.nmi, one.purity) == pytest.approx((1, 0, 0, 0.5), abs=1e-9)


def test_quality_of_outliers_alone():
    quality = label_quality([-1, -1], [1, 2])
    assert (quality.clusters, quality.outlier_share) == (0, 1)
    assert np.isnan([quality.ari, quality.nmi, quality.purity]).all()
    for labels, identities in (([0], [1, 2]), ([], [])):
        with pytest.raises(UserError, match="do not fit"):
            label_quality(labels, identities)


@given(st.lists(st.tuples(*[st.integers(-1, 3)] * 3), min_size=1, max_size=30))
@settings(max_examples=100, deadline=None)
def test_reliability_is_that_of_the_full_matrices(labels):
    normal, tight, loose = np.array(labels).T

    def together(given):
        return (given[:, None] == given) & (given[:, None] >= 0) | np.eye(len(given), dtype=bool)

    def unreliable(a, b):
        return 1 - (together(a) & together(b)).sum(1) / (together(a) | together(b)).sum(1)

    compact, independent = self_paced_reliability(normal, tight, loose)
    np.testing.assert_allclose(compact, unreliable(normal, tight), atol=1e-15)
    np.testing.assert_allclose(independent, unreliable(normal, loose), atol=1e-15)


def test_reliability_of_different_images_is_refused():
    with pytest.raises(UserError, match="the same images"):
        self_paced_reliability([0, 1], [0], [0, 1])
    with pytest.raises(UserError, match="flat list"):
        self_paced_reliability([[0, 1]], [[0, 1]], [[0, 1]])


@pytest.mark.parametrize("rho", [1.6e-3, 0.02, 0.4, 1.0])
def test_eps_is_the_mean_of_the_smallest_distances(rho):
    features = clustered(4, 160)
    dense = dense_jaccard(features, nearest_neighbours(features, 20).indices, 6)
    distances = dense[np.triu_indices(len(dense), 1)]
    distances = np.sort(distances[distances > 1e-6])
    expected = distances[: np.round(rho * distances.size).astype(int)].mean(dtype=np.float64)
    assert data_driven_eps(features, 20, 6, rho) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("rho", "message"), [(0, "rho is a share"), (1.5, "rho is a share"), (1e-9, "raise rho")])
def test_a_share_of_nothing_is_refused(rho, message):
    with pytest.raises(UserError, match=message):
        data_driven_eps(clustered(4, 30), 20, 6, rho)
