"""Maps of features: what `harness inspect` writes and the pages read."""

import numpy as np
import pytest

from harness.store.maps import FeatureMap, clusters, split_identities


def made(identity: list[int], cluster: list[int]) -> FeatureMap:
    size = len(identity)
    return FeatureMap(
        np.arange(size), np.zeros(size), np.zeros(size), np.array(identity), np.arange(size) % 2, np.array(cluster),
        "d", 0.5, own_labels=True,
    )  # fmt: skip


def test_the_least_pure_cluster_comes_first() -> None:
    found = clusters(made([1, 1, 2, 3, 3, 3, 4], [0, 0, 0, 1, 1, -1, 2]))
    assert [group.number for group in found] == [0, 1, 2]
    assert found[0].purity == pytest.approx(2 / 3)
    assert (found[0].identity, found[0].identities, found[0].share) == (1, 2, 1.0)
    assert found[1].share == pytest.approx(2 / 3)  # one image of identity 3 is an outlier


def test_an_identity_in_two_clusters_is_split() -> None:
    assert split_identities(made([1, 1, 2, 2], [0, 1, 2, 2])) == 1
    assert split_identities(made([1, 1], [-1, -1])) == 0
