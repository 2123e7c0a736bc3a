"""Figures of pseudo-labels that need no identity, against slow readings of their definitions."""

import itertools
import math
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UserError
from harness.labels import label_free
from harness.labels.label_free import RULE, RULES, agreement, camera_bias, centroid_silhouette, score


def unit(rows):
    rows = np.asarray(rows, np.float64)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def silhouette_by_loops(features, labels):
    centroids = {}
    for name in sorted(set(labels) - {-1}):
        total = sum(
            feature.astype(np.float64) for feature, label in zip(features, labels, strict=True) if label == name
        )
        centroids[name] = total / np.linalg.norm(total)
    values = []
    for feature, label in zip(features, labels, strict=True):
        if label >= 0:
            distance = {name: 1 - float(feature.astype(np.float64) @ c) for name, c in centroids.items()}
            a, b = distance[label], min(value for name, value in distance.items() if name != label)
            values.append((b - a) / max(a, b))
    return sum(values) / len(values)


def adjusted_rand_by_pairs(first, second):
    both = [(a, b) for a, b in zip(first, second, strict=True) if a >= 0 and b >= 0]
    pairs = list(itertools.combinations(both, 2))
    together = sum(x[0] == y[0] and x[1] == y[1] for x, y in pairs)
    first_, second_ = (sum(x[k] == y[k] for x, y in pairs) for k in (0, 1))
    expected, most = first_ * second_ / len(pairs), (first_ + second_) / 2
    return 1.0 if most == expected else (together - expected) / (most - expected)


def mutual_information_by_counts(labels, cameras):
    pairs = [(a, b) for a, b in zip(labels, cameras, strict=True) if a >= 0]
    n = len(pairs)

    def share(test):
        return sum(map(test, pairs)) / n

    def entropy(k):
        shares = [share(lambda pair, v=value: pair[k] == v) for value in {pair[k] for pair in pairs}]
        return -sum(s * math.log(s) for s in shares)

    mutual = 0.0
    for a, b in set(pairs):
        joint = share(lambda pair, a=a, b=b: pair == (a, b))
        left, right = share(lambda pair, a=a: pair[0] == a), share(lambda pair, b=b: pair[1] == b)
        mutual += joint * math.log(joint / left / right)
    return mutual / ((entropy(0) + entropy(1)) / 2)


LABELS = st.lists(st.integers(-1, 4), min_size=4, max_size=25)


@given(LABELS, st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_the_silhouette_is_that_of_the_loops(labels, seed):
    features = unit(np.random.default_rng(seed).normal(size=(len(labels), 6)))
    found = centroid_silhouette(features, labels)
    if len(set(labels) - {-1}) < 2:
        assert math.isnan(found)
        return
    assert found == pytest.approx(silhouette_by_loops(features, labels), abs=1e-5)
    assert -1 <= found <= 1
    renamed = [label if label < 0 else 10 - 2 * label for label in labels]
    assert centroid_silhouette(torch.from_numpy(features), renamed) == pytest.approx(found, abs=1e-6)


def test_the_silhouette_of_what_is_plain():
    features = unit([[1, 0], [1, 0], [0, 1], [0, 1], [1, 1]])
    assert centroid_silhouette(features, [0, 0, 1, 1, -1]) == pytest.approx(1)
    assert centroid_silhouette(features, [0, 1, 0, 1, -1]) == pytest.approx(0, abs=1e-6)
    assert centroid_silhouette(features[:2], [0, 1]) == 0  # two clusters at one place: a = b = 0
    with pytest.raises(UserError, match="labels of shape"):
        centroid_silhouette(features, [0, 1])


def test_the_silhouette_needs_blocks_not_a_square(monkeypatch):
    rng = np.random.default_rng(0)
    features, labels = unit(rng.normal(size=(6_000, 16))), rng.integers(-1, 300, 6_000)
    whole = centroid_silhouette(features, labels)
    monkeypatch.setattr(label_free, "BLOCK", 256)
    tracemalloc.start()
    assert centroid_silhouette(features, labels) == pytest.approx(whole, abs=1e-6)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * 2**20  # all pairs of images would take 144 MB, all images against all centroids 14 MB


@given(LABELS, st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_agreement_and_camera_bias_are_their_definitions(labels, seed):
    rng = np.random.default_rng(seed)
    before, cameras = rng.integers(-1, 3, len(labels)), rng.integers(1, 4, len(labels))
    if sum(a >= 0 and b >= 0 for a, b in zip(labels, before, strict=True)) > 1:
        assert agreement(labels, before) == pytest.approx(adjusted_rand_by_pairs(labels, before.tolist()))
    kept = [camera for label, camera in zip(labels, cameras.tolist(), strict=True) if label >= 0]
    if len(set(kept)) < 2:
        assert math.isnan(camera_bias(labels, cameras))
    else:
        expected = mutual_information_by_counts(labels, cameras.tolist())
        assert camera_bias(labels, cameras) == pytest.approx(expected, abs=1e-9)


def test_agreement_and_camera_bias_of_what_is_plain():
    assert agreement([0, 0, 1, 1, -1], [7, 7, 3, 3, 3]) == 1
    assert math.isnan(agreement([-1, 0], [0, -1]))
    assert camera_bias([0, 0, 1, 1], [1, 1, 2, 2]) == pytest.approx(1)
    assert camera_bias([0, 1, 0, 1], [1, 1, 2, 2]) == pytest.approx(0)
    assert math.isnan(camera_bias([-1, -1], [1, 2]))


def test_the_rule_prefers_what_is_separate_and_complete():
    row = {"silhouette": 0.5, "outliers": 0.2, "agreement": 0.9}
    assert {name: score(row, name) for name in RULES} == pytest.approx(
        {"silhouette": 0.5, "silhouette x clustered share": 0.4, "agreement with the epoch before": 0.9}
    )
    assert score(row) == score(row, RULE) == pytest.approx(0.4)
    for broken in ({}, row | {"silhouette": None}, row | {"silhouette": math.nan}):
        assert score(broken) is score(broken, "silhouette") is None
    assert score(row | {"agreement": None}, "agreement with the epoch before") is None
