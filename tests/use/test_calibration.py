"""Thresholds: their error rates are those that counting gives, and their intervals know about identities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from harness.errors import UserError
from harness.use.calibration import BINS, Searches, calibrate, histogram

NONE = np.zeros(BINS, np.int64)
similarities = arrays(np.float32, st.integers(1, 60), elements=st.floats(-1, 1, width=32))


def searches(same: np.ndarray, different: np.ndarray, identities: np.ndarray | None = None) -> Searches:
    found = np.arange(len(same)) if identities is None else identities
    return Searches(same.astype(np.float64), different.astype(np.float64), found, NONE, NONE, 10)


@given(similarities)
def test_the_rates_are_those_of_counting(same: np.ndarray) -> None:
    different = np.roll(same, 1)[::-1]
    found = calibrate(searches(same, different), "hash", "data")
    for point, allowed in ((found.same, 0.01), (found.loose, 0.1)):
        assert point.fpir == np.mean(different >= point.threshold) <= allowed
        assert point.fnir == np.mean(same < point.threshold)
        lower = np.unique(different[different < point.threshold])
        if lower.size:  # no lower threshold would keep the rate
            assert np.mean(different >= lower[-1]) > allowed
    assert np.mean(same < found.different_below) <= 0.01 + 1e-9
    assert found.different_below <= found.same.threshold


def test_the_verdict() -> None:
    rng = np.random.default_rng(0)
    found = calibrate(searches(rng.normal(0.6, 0.1, 1000), rng.normal(0.4, 0.1, 1000)), "hash", "data")
    assert found.same.threshold == pytest.approx(0.4 + 0.1 * 2.33, abs=0.02)
    assert found.same.fnir == pytest.approx(0.63, abs=0.05)
    assert found.different_below == pytest.approx(0.6 - 0.1 * 2.33, abs=0.02)
    assert [found.verdict(value) for value in (0.9, found.same.threshold, 0.5, 0.2)] == [
        "same", "same", "unsure", "different",
    ]  # fmt: skip


def test_searches_of_one_identity_do_not_count_as_many() -> None:
    rng = np.random.default_rng(0)
    people = rng.normal(0.6, 0.1, (40, 1)) + np.zeros((1, 10))
    others = rng.normal(0.4, 0.1, 400)
    apart = calibrate(searches(people.ravel(), others), "hash", "data").loose
    together = calibrate(searches(people.ravel(), others, np.repeat(np.arange(40), 10)), "hash", "data").loose
    assert together.fnir_high - together.fnir_low > 1.5 * (apart.fnir_high - apart.fnir_low)
    assert together.fnir_low <= together.fnir <= together.fnir_high


def test_nothing_to_learn_from() -> None:
    nothing, some = np.full(3, np.nan), np.array([0.1, 0.2, 0.3])
    with pytest.raises(UserError, match="shows no individual twice"):
        calibrate(searches(nothing, some), "hash", "data")
    with pytest.raises(UserError, match="shows one individual only"):
        calibrate(searches(some, nothing), "hash", "data")


def test_a_similarity_of_one_falls_into_the_last_bin() -> None:
    counts = histogram(np.array([-1, 1, 1.0000001, 0], np.float32))
    assert (counts[0], counts[-1], counts[BINS // 2], counts.sum()) == (1, 2, 1, 4)
