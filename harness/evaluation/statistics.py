"""Two single runs over the same queries, spreads over seeds, reported figures, and many tests at once.

Which of two methods is better is another question than which of two networks is: see `significance`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError

RESAMPLES = 10_000
LEVEL = 0.05
"""Of every test: what is less probable by chance counts as different. Intervals cover the rest, 95 %."""
# Resamples are drawn in blocks, so that memory stays at about 64 MB for any number of queries.
BLOCK_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Comparison:
    """A difference of two means (a - b) with its interval [low, high] and the p-value of "there is no difference"."""

    difference: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation (n - 1; NaN for one value) over `n` runs with different seeds."""

    mean: float
    std: float
    n: int


def compare_ap(ap_a: Any, ap_b: Any, seed: int, *, resamples: int = RESAMPLES) -> Comparison:
    """Compare two single runs: would these two networks differ on other queries? mAP of `ap_a` minus that of `ap_b`.

    It says nothing about the methods behind them, whose other seeds give other networks (`compare_runs` does), and it
    takes every query for independent, though those of one identity hang together. Two runs find the same queries hard,
    so it works on the differences of their average precisions, query by query.

    The 95 % interval is the paired percentile bootstrap over queries (Efron and Tibshirani, 1993, ch. 13); the
    two-sided p-value is the paired permutation test, which flips the sign of each query's difference with probability
    one half, with the observed arrangement counted (Phipson and Smyth, 2010), so it is at least 1 / (resamples + 1).
    Queries that are NaN in both lists (no right answer in the gallery) are left out. The same seed gives the same
    result.

    Raises UserError if the lists differ in length or in their NaNs, or hold nothing else.
    """
    a, b = np.asarray(ap_a, dtype=np.float64), np.asarray(ap_b, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise UserError(f"average precisions of shapes {a.shape} and {b.shape} do not belong to the same queries")
    missing = np.isnan(a)
    if (missing != np.isnan(b)).any():
        query = (missing != np.isnan(b)).argmax()
        raise UserError(f"query {query} has a right answer in one list only: the lists come from different galleries")
    difference = (a - b)[~missing]
    if not len(difference):
        raise UserError("no query has an average precision in both lists")
    observed = float(difference.mean())
    generator = np.random.default_rng(seed)
    means = _resampled_means(difference, resamples, generator)
    low, high = np.quantile(means, [LEVEL / 2, 1 - LEVEL / 2])
    flipped = _flipped_means(difference, resamples, generator)
    # A mean that differs from the observed one by rounding only is as extreme as it.
    extreme = int(np.count_nonzero(np.abs(flipped) >= abs(observed) - 1e-12))
    return Comparison(observed, float(low), float(high), (extreme + 1) / (resamples + 1))


def _resampled_means(
    values: NDArray[np.float64], resamples: int, generator: np.random.Generator
) -> NDArray[np.float64]:
    means = np.empty(resamples)
    block = max(1, BLOCK_BYTES // (16 * len(values)))
    for start in range(0, resamples, block):
        drawn = generator.integers(0, len(values), (min(block, resamples - start), len(values)), dtype=np.int32)
        means[start : start + block] = values[drawn].mean(axis=1)
    return means


def _flipped_means(values: NDArray[np.float64], resamples: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Means after random sign flips: the mean minus twice the share of what was flipped, a product with random bits."""
    means = np.empty(resamples)
    size = -(-len(values) // 8)
    block = max(1, BLOCK_BYTES // (8 * 8 * size))
    for start in range(0, resamples, block):
        packed = generator.integers(0, 256, (min(block, resamples - start), size), dtype=np.uint8)
        bits = np.unpackbits(packed, axis=1, count=len(values))
        means[start : start + block] = values.mean() - 2 * (bits @ values) / len(values)
    return means


def spread(values: Sequence[float]) -> Spread:
    """Return mean and sample standard deviation over seeds. Raises UserError for an empty list or a NaN."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not len(array) or np.isnan(array).any():
        raise UserError(f"a spread needs at least one number, and no NaN: {list(values)}")
    return Spread(float(array.mean()), float(array.std(ddof=1)) if len(array) > 1 else float("nan"), len(array))


def reported_p_value(reproduced: Sequence[float], reported: Sequence[float]) -> float:
    """Return the two-sided p-value of "what was reproduced has the mean that was reported".

    One reported figure: Student's one-sample t-test of the reproduced seeds. Several: Welch's test, which allows
    unequal variances. NaN where the data cannot tell: fewer than two seeds, or no spread at all around an equal mean.
    """
    if len(reproduced) < 2 or not len(reported):
        return float("nan")
    from scipy import stats  # takes longer to load than most commands that show statistics take

    with np.errstate(divide="ignore", invalid="ignore"):
        if len(reported) == 1:
            return float(stats.ttest_1samp(reproduced, reported[0]).pvalue)
        return float(stats.ttest_ind(reproduced, reported, equal_var=False).pvalue)


def holm(p_values: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the p-values adjusted for their number (Holm, 1979), in the same order: step-down, never above 1."""
    raw = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(raw, kind="stable")
    adjusted = np.empty_like(raw)
    steps = raw[order] * np.arange(len(raw), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted
