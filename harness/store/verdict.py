"""Does our mean agree with the figure a paper reports?"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

CLOSE = 1.0
"""Percentage points of mAP within which a figure counts as close: what re-running public code commonly differs by."""


@dataclass(frozen=True)
class Verdict:
    """`difference`: ours − reported, in points; `verdict`: within the spread, close or off; `note`: the test used."""

    difference: float
    verdict: str
    note: str


def verdict(ours: list[float], reported: float) -> Verdict:
    """Judge the mean of our seeds (percent) against a single reported figure by a one-sample t-test at 5 %.

    Papers report one figure without a spread, so Welch's two-sample test has nothing to stand on here.
    """
    difference = statistics.fmean(ours) - reported
    near = "close" if abs(difference) <= CLOSE else "off"
    if len(ours) < 2:
        return Verdict(difference, near, "one seed: no test, judged by the difference alone")
    spread = statistics.stdev(ours)
    if spread == 0:
        return Verdict(difference, near, "the seeds do not differ: no test")
    t = difference / (spread / math.sqrt(len(ours)))
    p = t_test_p(t, len(ours) - 1)
    note = f"one-sample t-test over {len(ours)} seeds: t = {t:.2f}, p = {p:.3f}"
    return Verdict(difference, "within the spread" if p >= 0.05 else near, note)


def t_test_p(t: float, degrees: int) -> float:
    """Return the two-sided p-value of Student's t."""
    from scipy.special import stdtr  # slow to import, only needed at ingestion

    return float(2 * stdtr(degrees, -abs(t)))
