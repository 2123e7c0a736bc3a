"""The tests of significance against scipy's, and against what must hold by construction."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from harness.errors import UserError
from harness.evaluation import compare_ap
from harness.statistics.basics import holm, reported_p_value, spread


def paired(seed: int, queries: int = 60, gain: float = 0.03):
    rng = np.random.default_rng(seed)
    a = rng.random(queries)
    return a, a - gain + 0.1 * rng.standard_normal(queries)


@pytest.mark.parametrize(("seed", "gain"), [(0, 0.03), (1, 0.0), (2, -0.1)])
def test_interval_and_p_value_are_scipys(seed, gain):
    a, b = paired(seed, gain=gain)
    ours = compare_ap(a, b, seed=0)
    interval = stats.bootstrap((a - b,), np.mean, n_resamples=10_000, method="percentile", rng=1).confidence_interval
    permuted = stats.permutation_test(
        (a, b), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=10_000, rng=2
    )
    assert ours.difference == pytest.approx(np.mean(a - b), abs=1e-15)
    # Two Monte-Carlo estimates with 10,000 resamples: within five standard errors of each other.
    assert (ours.low, ours.high) == pytest.approx(interval, abs=5 * np.std(a - b) / np.sqrt(60) * 0.03)
    p = permuted.pvalue
    assert ours.p_value == pytest.approx(p, abs=5 * np.sqrt(2 * max(p, 1e-4) * (1 - min(p, 0.999)) / 10_000))


def test_p_value_of_few_queries_is_the_exact_one():
    a, b = np.array([0.9, 0.8, 0.7, 0.9, 0.6]), np.array([0.5, 0.7, 0.6, 0.4, 0.65])
    exact = stats.permutation_test((a, b), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=np.inf)
    assert compare_ap(a, b, seed=3).p_value == pytest.approx(exact.pvalue, abs=0.015)


def test_equal_lists_do_not_differ():
    ap = np.random.default_rng(0).random(50)
    same = compare_ap(ap, ap, seed=0)
    assert (same.difference, same.low, same.high, same.p_value) == (0, 0, 0, 1)


@given(st.integers(0, 1000), st.integers(1, 40))
@settings(max_examples=25, deadline=None)
def test_antisymmetric_bounded_and_reproducible(seed, queries):
    a, b = paired(seed, queries)
    forth, back = compare_ap(a, b, seed=seed, resamples=500), compare_ap(b, a, seed=seed, resamples=500)
    assert forth == compare_ap(a, b, seed=seed, resamples=500)
    assert (forth.difference, forth.p_value) == (-back.difference, back.p_value)
    assert (forth.low, forth.high) == pytest.approx((-back.high, -back.low), abs=1e-12)
    assert forth.low <= forth.high
    assert 1 / 501 <= forth.p_value <= 1


def test_queries_without_a_match_are_left_out():
    a, b = paired(5)
    with_gaps = [np.insert(x, [0, 7, 60], np.nan) for x in (a, b)]
    assert compare_ap(*with_gaps, seed=1) == compare_ap(a, b, seed=1)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([0.5, 0.5], [0.5], "do not belong to the same queries"),
        ([[0.5]], [[0.5]], "do not belong to the same queries"),
        ([0.5, np.nan], [0.5, 0.5], "query 1"),
        ([np.nan], [np.nan], "no query"),
        ([], [], "no query"),
    ],
)
def test_lists_of_different_queries_are_refused(a, b, message):
    with pytest.raises(UserError, match=message):
        compare_ap(a, b, seed=0)


def test_memory_is_bounded_at_the_size_of_msmt17():
    a, b = paired(0, queries=12_000)
    tracemalloc.start()
    compare_ap(a, b, seed=0, resamples=2_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 150 * 2**20  # the resamples drawn at once would take 192 MB


def test_spread_over_seeds():
    values = [0.5, 0.6, 0.55]
    ours = spread(values)
    assert (ours.mean, ours.std, ours.n) == pytest.approx((np.mean(values), np.std(values, ddof=1), 3))
    one = spread([0.5])
    assert (one.mean, one.n) == (0.5, 1)
    assert np.isnan(one.std)
    for bad in ([], [0.5, np.nan]):
        with pytest.raises(UserError):
            spread(bad)


def test_reported_against_reproduced():
    reproduced = [81.2, 82.0, 81.7]
    assert reported_p_value(reproduced, [82.6]) == pytest.approx(stats.ttest_1samp(reproduced, 82.6).pvalue)
    several = [82.6, 82.1, 83.0]
    welch = stats.ttest_ind(reproduced, several, equal_var=False).pvalue
    assert reported_p_value(reproduced, several) == pytest.approx(welch)
    assert np.isnan(reported_p_value([81.2], [82.6]))
    assert np.isnan(reported_p_value(reproduced, []))


def test_holm_by_hand():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.9, 0.8]), [1, 1])
    assert len(holm([])) == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_rejects_what_stepping_down_rejects(p_values):
    level, adjusted = 0.05, holm(p_values)
    rejected = np.zeros(len(p_values), bool)
    for step, index in enumerate(np.argsort(p_values, kind="stable")):
        if p_values[index] * (len(p_values) - step) > level:
            break
        rejected[index] = True
    np.testing.assert_array_equal(adjusted <= level, rejected)
