"""The one test of methods: against a slow reading of its formula, by its symmetries, and on AP with known effects."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from benchmarks.simulated import Effects, draws
from harness.errors import UserError
from harness.evaluation import compare_runs
from harness.statistics.methods import verdict

DRAWS = 1_000
TIED = "cannot be told apart"


def example(seed: int, seeds_a: int = 3, seeds_b: int = 3, queries: int = 40, identities: int = 9):
    rng = np.random.default_rng(seed)
    names = rng.permutation(np.r_[np.arange(identities), rng.integers(identities, size=queries - identities)])
    shared = rng.random(queries)
    a, b = (0.5 * shared + 0.2 * rng.random((n, queries)) + 0.05 * rng.random((n, 1)) for n in (seeds_a, seeds_b))
    return a, b, names


def oracle(a, b, names, level=0.05):
    """The formula with loops: difference, low, high, p, df and the three contributions."""

    def mean(values):
        return math.fsum(values) / len(values)

    def variance(values):
        return math.fsum((x - mean(values)) ** 2 for x in values) / (len(values) - 1)

    queries = [q for q in range(len(names)) if not math.isnan(a[0][q])]
    per_query = {q: mean([run[q] for run in a]) - mean([run[q] for run in b]) for q in queries}
    difference = mean([per_query[q] for q in queries])
    seeds_a = variance([mean([run[q] for q in queries]) for run in a]) / len(a)
    seeds_b = variance([mean([run[q] for q in queries]) for run in b]) / len(b)
    clusters = sorted({names[q] for q in queries})
    squares = math.fsum(
        math.fsum(per_query[q] - difference for q in queries if names[q] == name) ** 2 for name in clusters
    )
    identities = len(clusters) / (len(clusters) - 1) * squares / len(queries) ** 2
    total = seeds_a + seeds_b + identities
    df = total**2 / (seeds_a**2 / (len(a) - 1) + seeds_b**2 / (len(b) - 1) + identities**2 / (len(clusters) - 1))
    error = math.sqrt(total)
    half = stats.t.ppf(1 - level / 2, df) * error
    p = 2 * stats.t.sf(abs(difference) / error, df)
    return difference, difference - half, difference + half, p, df, seeds_a**0.5, seeds_b**0.5, identities**0.5


def numbers(found):
    return (found.difference, found.low, found.high, found.p_value, found.df,
            found.seed_std_a, found.seed_std_b, found.identity_std)  # fmt: skip


@given(st.integers(0, 10_000), st.integers(2, 5), st.integers(2, 5), st.integers(2, 15), st.sampled_from([0.01, 0.05]))
@settings(max_examples=60, deadline=None)
def test_it_is_the_formula(seed, seeds_a, seeds_b, identities, level):
    a, b, names = example(seed, seeds_a, seeds_b, identities=identities)
    a[:, seed % 40] = b[:, seed % 40] = np.nan
    found = compare_runs(a, b, names, level=level)
    assert numbers(found) == pytest.approx(oracle(a, b, names, level), rel=1e-9)
    kept = np.arange(40) != seed % 40
    assert (found.seeds_a, found.seeds_b, found.queries, found.identities, found.level) == (
        seeds_a, seeds_b, 39, len(set(names[kept])), level)  # fmt: skip


def test_without_a_spread_over_identities_it_is_welchs_test():
    rng = np.random.default_rng(0)
    a, b = rng.random((4, 1)) * np.ones((4, 12)), rng.random((3, 1)) * np.ones((3, 12))
    welch = stats.ttest_ind(a[:, 0], b[:, 0], equal_var=False)
    found = compare_runs(a, b, np.arange(12))
    assert (found.p_value, found.df) == pytest.approx((welch.pvalue, welch.df))
    assert (found.low, found.high) == pytest.approx(tuple(welch.confidence_interval()))


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_symmetries(seed):
    rng = np.random.default_rng(seed)
    a, b, names = example(seed, 3, 4)
    found = compare_runs(a, b, names)
    back = compare_runs(b, a, names)
    assert (back.difference, back.low, back.high) == pytest.approx((-found.difference, -found.high, -found.low))
    assert (back.p_value, back.df) == pytest.approx((found.p_value, found.df))
    order = rng.permutation(40)
    shuffled = compare_runs(a[rng.permutation(3)][:, order], b[rng.permutation(4)][:, order], names[order])
    assert numbers(shuffled) == pytest.approx(numbers(found))
    renamed = compare_runs(a, b, np.array([f"person {name * 7 % 9}" for name in names]))
    assert numbers(renamed) == pytest.approx(numbers(found))
    harder = rng.normal(size=40)  # for both methods
    assert numbers(compare_runs(a + harder, b + harder, names)) == pytest.approx(numbers(found))
    moved = compare_runs(a + 0.25, b, names)
    assert (moved.difference, moved.low, moved.high) == pytest.approx(
        (found.difference + 0.25, found.low + 0.25, found.high + 0.25)
    )
    scaled = compare_runs(100 * a, 100 * b, names)
    assert (scaled.p_value, scaled.df) == pytest.approx((found.p_value, found.df))
    assert (scaled.low, scaled.high, scaled.identity_std) == pytest.approx(
        (100 * found.low, 100 * found.high, 100 * found.identity_std)
    )
    assert found.low < found.difference < found.high
    assert (found.p_value < 0.05) == (found.low > 0 or found.high < 0)


def test_queries_of_one_identity_count_as_one_where_they_agree():
    a, b, _ = example(3, queries=40)
    repeated = compare_runs(np.repeat(a, 5, axis=1), np.repeat(b, 5, axis=1), np.repeat(np.arange(40), 5))
    assert numbers(repeated) == pytest.approx(numbers(compare_runs(a, b, np.arange(40))))


def rates(effects: Effects, seed: int = 1):
    """Share of draws called different, and share of intervals that cover the true difference."""
    found = [compare_runs(*draw) for draw in draws(effects, DRAWS, seed)]
    told = sum(result.verdict != TIED for result in found) / DRAWS
    covered = sum(result.low <= effects.difference <= result.high for result in found) / DRAWS
    return told, covered


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("spread", [0.0, 0.5, 0.9, 2.0, 4.0])
def test_false_alarms_and_coverage(seeds, spread):
    told, _ = rates(Effects(seeds=seeds, spread_a=spread, spread_b=spread))
    assert told <= 0.07
    gained, covered = rates(Effects(seeds=seeds, spread_a=spread, spread_b=spread, difference=1.5), seed=2)
    assert covered >= 0.93
    assert gained > told


@pytest.mark.parametrize("seeds", [3, 5])
def test_false_alarms_beside_a_deterministic_method(seeds):
    """Its runs are equal; at 2.5 points of the other's spread the unbounded degrees of freedom give 8 % at 3 seeds."""
    alarms = 0
    for a, b, names in draws(Effects(seeds=seeds, spread_a=2.5, spread_b=0), DRAWS, 3):
        found = compare_runs(a, np.repeat(b[:1], seeds, axis=0), names)
        assert found.seed_std_b == 0
        assert found.df <= 2 * (seeds - 1)
        alarms += found.verdict != TIED
    assert alarms <= 0.07 * DRAWS


def test_a_few_identities_with_many_queries_each():
    told, _ = rates(Effects(identities=15, queries=120))
    assert told <= 0.07


def test_what_could_be_told_is_told_four_times_of_five():
    typical = np.median([compare_runs(*draw).detectable(5) for draw in draws(Effects(seeds=3), 300, 5)])
    told, _ = rates(Effects(seeds=5, difference=float(typical)), seed=6)
    assert 0.72 < told < 0.9
    (found,) = (compare_runs(*draw) for draw in draws(Effects(), 1, 0))
    assert found.detectable(3) > found.detectable(5) > found.detectable(100) > 1.96 * found.identity_std


@pytest.mark.parametrize("seeds", [(1, 3), (3, 1), (1, 1)])
def test_one_seed_speaks_of_these_networks_only(seeds):
    a, b, names = example(0, *seeds)
    found = compare_runs(a + 10, b, names)
    assert not found.about_methods
    assert found.verdict is None
    assert np.isnan([found.seed_std_a, found.seed_std_b, found.detectable(5)]).all()
    assert (found.df, found.p_value < 1e-6) == (found.identities - 1, True)
    assert found.low < found.difference < found.high


def test_deterministic_methods():
    a, b, names = example(0)
    a, b = np.repeat(a[:1], 3, axis=0), np.repeat(b[:1], 3, axis=0)
    found = compare_runs(a, b, names)
    assert (found.seed_std_a, found.seed_std_b, found.df) == (0, 0, found.identities - 1)
    assert found.about_methods
    assert 0 < found.p_value < 1
    same = compare_runs(a, a, names)
    assert (same.difference, same.low, same.high, same.p_value, same.verdict) == (0, 0, 0, 1, TIED)
    eighths = np.round(a * 8) / 8  # so that their differences are exact
    certain = compare_runs(eighths + 0.5, eighths, names)
    assert (certain.low, certain.high, certain.p_value, certain.verdict) == (0.5, 0.5, 0, "better")
    assert same.detectable(5) == 0


def test_there_are_three_verdicts():
    assert [verdict(d, p) for d, p in ((1, 0.04), (-1, 0.04), (1, 0.05), (-1, 0.9), (1, math.nan))] == [
        "better", "worse", TIED, TIED, TIED]  # fmt: skip


NAN = np.nan
FINE = [[0.1, 0.2, 0.3], [0.3, 0.2, 0.2]]


@pytest.mark.parametrize(
    ("a", "b", "names", "message"),
    [
        ([0.1, 0.2, 0.3], FINE, [1, 2, 3], r"of A have the shape \(3,\): give one row per seed"),
        (np.empty((0, 3)), FINE, [1, 2, 3], "A has no run at all"),
        (FINE, np.empty((0, 3)), [1, 2, 3], "B has no run at all"),
        (FINE, [[0.1, 0.2]] * 2, [1, 2, 3], "3 queries of A and 2 of B: they come from different query sets"),
        (FINE, FINE, [1, 2], r"identities of shape \(2,\) do not fit 3 queries"),
        (FINE, [[0.1, NAN, 0.3]] * 2, [1, 2, 3], "query 1 .* seed 0 of B .* different galleries"),
        ([FINE[0], [0.1, 0.2, NAN]], FINE, [1, 2, 3], "query 2 .* seed 1 of A .* different galleries"),
        (FINE, [FINE[0], [NAN, NAN, NAN]], [1, 2, 3], "seed 1 of B has no average precision at all: .* missing"),
        ([[NAN] * 3] * 2, [[NAN] * 3] * 2, [1, 2, 3], "no query has an average precision: every one is NaN"),
        (np.empty((2, 0)), np.empty((2, 0)), [], "no query has an average precision"),
        (FINE, FINE, [4, 4, 4], r"all 3 queries show one identity \(4\)"),
    ],
)
def test_bad_input_is_one_clear_line(a, b, names, message):
    with pytest.raises(UserError, match=message) as raised:
        compare_runs(a, b, names)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("level", [0, 1, -0.1, NAN])
def test_a_level_is_a_probability(level):
    with pytest.raises(UserError, match="level"):
        compare_runs(FINE, FINE, [1, 2, 3], level=level)
