"""Which of two single networks is better on other queries? Two methods are compared by `methods`, over their seeds."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError
from harness.statistics.basics import LEVEL

RESAMPLES = 10_000
# Resamples are drawn in blocks, so that memory stays at about 64 MB for any number of queries.
BLOCK_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Comparison:
    """A difference of two means (a - b) with its interval [low, high] and the p-value of "there is no difference"."""

    difference: float
    low: float
    high: float
    p_value: float


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
