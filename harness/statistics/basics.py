"""Spreads over seeds, reported figures, and many tests at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError

LEVEL = 0.05
"""Significance level of every test; intervals have coverage 1 - LEVEL."""


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation (n - 1; NaN for one value) over `n` runs with different seeds."""

    mean: float
    std: float
    n: int


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
