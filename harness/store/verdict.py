"""Does our mean agree with the figure a paper reports?"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

from harness.evaluation.statistics import LEVEL, reported_p_value

CLOSE = 1.0
"""Percentage points of mAP within which a figure counts as close."""


@dataclass(frozen=True)
class Verdict:
    """`difference`: ours − reported, in points; `verdict`: within the spread, close or off; `note`: the test used."""

    difference: float
    verdict: str
    note: str


def verdict(ours: list[float], reported: list[float]) -> Verdict:
    """Judge our seeds (percent) against the reported figures: one-sample t-test for one, Welch's test for several."""
    difference = statistics.fmean(ours) - statistics.fmean(reported)
    near = "close" if abs(difference) <= CLOSE else "off"
    if len(ours) < 2:
        return Verdict(difference, near, "one seed: no test, judged by the difference alone")
    p = reported_p_value(ours, reported)
    if math.isnan(p):
        return Verdict(difference, near, "the seeds do not differ: no test")
    test = "one-sample t-test" if len(reported) == 1 else "Welch's test"
    note = f"{test} over {len(ours)} seeds: p = {p:.3f}"
    return Verdict(difference, "within the spread" if p >= LEVEL else near, note)
