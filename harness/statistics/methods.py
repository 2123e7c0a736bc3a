"""Which of two methods is better? The one test behind every verdict: seeds and identities are both random.

A method is judged by the mAP of several runs with different seeds, on queries of several identities. Another seed would
have given other networks, and other persons in front of the cameras other queries, so the difference of two methods'
mAP, d, has the squared standard error

    SE² = s_A² / n_A + s_B² / n_B + V,      V = G / (G − 1) · Σ_g (Σ_{q in g} (d_q − d))² / Q²

s_A and s_B are the sample standard deviations of mAP over the n_A and n_B seeds. V is the variance of the mean of the
per-query differences d_q (each averaged over the seeds) with the queries of one identity kept together: the
cluster-robust variance of a mean over G identities and Q queries (Liang and Zeger, Biometrika 1986; the factor for few
clusters as in Cameron and Miller, Journal of Human Resources 2015). d / SE is judged by Student's t with
Satterthwaite's degrees of freedom (Biometrics Bulletin 1946; without V this is Welch's test, Biometrika 1947):

    df = SE⁴ / ((s_A² / n_A)² / (n_A − 1) + (s_B² / n_B)² / (n_B − 1) + V² / (G − 1))

A method whose seeds change nothing has s = 0 and adds no degrees of freedom. The other side's few seeds are then all
that is known of the seeds, and df, which is estimated from them too, comes out too large whenever their spread comes
out small: it is bounded by twice their own, 2 (n − 1). `docs/statistics.md` shows what this holds on simulated results.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError
from harness.statistics.basics import LEVEL

Verdict = Literal["better", "worse", "cannot be told apart"]
POWER = 0.8
"""How probably a difference that "could be told" is told: the habit of sample-size planning (Cohen, 1988)."""


@dataclass(frozen=True)
class RunComparison:
    """A's mAP minus B's, what is known of it, and of whom it speaks. All in the unit of the AP that were given.

    difference: mean over queries of A's AP (averaged over its seeds) minus B's.
    low, high: its interval, which covers the true difference with probability 1 - `level`.
    p_value: two-sided, of "there is no difference".
    df: Satterthwaite's degrees of freedom, of both.
    seed_std_a, seed_std_b: what A's and B's seeds contribute to the standard error, s / √n; NaN if either side has one
        seed, exactly 0 if all its runs have the same mAP.
    identity_std: what the identities contribute, √V; the squares of the three add up to the squared standard error.
    seeds_a, seeds_b, queries, identities: how many of each went in; queries without a match are left out.
    level: the probability of a false alarm.

    With one seed on either side nothing is known of other seeds. Then difference, interval and p-value speak of these
    networks only, on other identities; `about_methods` is False and there is no verdict.
    """

    difference: float
    low: float
    high: float
    p_value: float
    df: float
    seed_std_a: float
    seed_std_b: float
    identity_std: float
    seeds_a: int
    seeds_b: int
    queries: int
    identities: int
    level: float

    @property
    def about_methods(self) -> bool:
        """Whether the comparison speaks of the methods, not only of these networks."""
        return self.seeds_a > 1 and self.seeds_b > 1

    @property
    def verdict(self) -> Verdict | None:
        """A against B; None where one side has one seed."""
        return verdict(self.difference, self.p_value, self.level) if self.about_methods else None

    def detectable(self, seeds: int) -> float:
        """The smallest true difference that so many seeds on both sides would tell with a probability of 80 %.

        It takes the spreads as they were found: (t(1 - level/2) + t(0.8)) · SE at that number of seeds. NaN where no
        spread is known.
        """
        if not self.about_methods:
            return math.nan
        error, df = _combined(
            [self.seed_std_a**2 * self.seeds_a / seeds, self.seed_std_b**2 * self.seeds_b / seeds],
            [seeds, seeds],
            self.identity_std**2,
            self.identities,
        )
        from scipy.special import stdtrit

        return float((stdtrit(df, 1 - self.level / 2) + stdtrit(df, POWER)) * error)


def verdict(difference: float, p_value: float, level: float = LEVEL) -> Verdict:
    """Return the verdict's words, of which there are three."""
    if not p_value < level:
        return "cannot be told apart"
    return "better" if difference > 0 else "worse"


def compare_runs(ap_a: Any, ap_b: Any, identities: Any, *, level: float = LEVEL) -> RunComparison:
    """Compare two methods over their seeds and the queries' identities: A minus B, by the formula of this module.

    `ap_a` [seeds of A, queries] and `ap_b` [seeds of B, queries] are average precisions, one row per run, NaN for a
    query without a match; the numbers of seeds may differ. `identities` [queries] are integers or strings.

    Raises UserError if the shapes do not fit, a row holds no AP at all (its run is missing), rows differ in their NaNs
    (other galleries), all AP are NaN, or the queries show one identity only.
    """
    a, b, names = _checked(ap_a, ap_b, identities, level)
    found, group = np.unique(names, return_inverse=True)
    if len(found) < 2:
        raise UserError(
            f"all {len(names)} queries show one identity ({found[0]}): how much a difference varies over identities "
            "cannot be known from one"
        )
    per_query = a.mean(axis=0) - b.mean(axis=0)
    difference = float(per_query.mean())
    sums = np.bincount(group, weights=per_query - difference)
    over_identities = float(len(sums) / (len(sums) - 1) * (sums @ sums) / per_query.size**2)
    alone = min(len(a), len(b)) == 1
    variances = [math.nan, math.nan] if alone else [_of_mean(a), _of_mean(b)]
    error, df = _combined([0.0, 0.0] if alone else variances, [len(a), len(b)], over_identities, len(sums))
    half, p_value = _student(difference, error, df, level)
    return RunComparison(
        difference,
        difference - half,
        difference + half,
        p_value,
        df,
        math.sqrt(variances[0]),
        math.sqrt(variances[1]),
        math.sqrt(over_identities),
        len(a),
        len(b),
        per_query.size,
        len(sums),
        level,
    )


def _of_mean(ap: NDArray[np.float64]) -> float:
    """The variance of the mean of the runs' mAP, exactly 0 if they are all the same."""
    scores = ap.mean(axis=1)
    return float(scores.var(ddof=1) / len(scores)) if np.ptp(scores) else 0.0


def _combined(
    of_seeds: Sequence[float], seeds: Sequence[int], of_identities: float, identities: int
) -> tuple[float, float]:
    """Return the standard error and its degrees of freedom from the variances that each source contributes."""
    parts = [(variance, n - 1) for variance, n in zip(of_seeds, seeds, strict=True) if variance > 0]
    squared = sum(variance for variance, _ in parts) + of_identities
    if squared == 0:
        return 0.0, float(identities - 1)
    # Shares, so that the square of a tiny variance does not become zero.
    spent = sum((variance / squared) ** 2 / df for variance, df in [*parts, (of_identities, identities - 1)])
    df = 1 / spent
    if len(parts) == 1:
        df = min(df, 2.0 * parts[0][1])
    return math.sqrt(squared), df


def _student(difference: float, error: float, df: float, level: float) -> tuple[float, float]:
    """Return half the interval's width and the two-sided p-value; without any spread every difference is certain."""
    from scipy.special import stdtr, stdtrit  # takes longer to load than most commands that show results take

    if error == 0:
        return 0.0, 1.0 if difference == 0 else 0.0
    return float(stdtrit(df, 1 - level / 2)) * error, min(1.0, 2 * float(stdtr(df, -abs(difference) / error)))


def _checked(
    ap_a: Any, ap_b: Any, identities: Any, level: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[Any]]:
    """Return both sides and the identities on the queries that have a match, or say what is wrong with them."""
    a, b, names = np.asarray(ap_a, dtype=np.float64), np.asarray(ap_b, dtype=np.float64), np.asarray(identities)
    if not 0 < level < 1:
        raise UserError(f"level {level:g}: it is a probability between 0 and 1, like {LEVEL}")
    for side, ap in (("A", a), ("B", b)):
        if ap.ndim != 2:
            raise UserError(f"average precisions of {side} have the shape {ap.shape}: give one row per seed")
        if not len(ap):
            raise UserError(f"{side} has no run at all: there is nothing to compare")
    if a.shape[1] != b.shape[1]:
        raise UserError(f"{a.shape[1]} queries of A and {b.shape[1]} of B: they come from different query sets")
    if names.shape != a.shape[1:]:
        raise UserError(f"identities of shape {names.shape} do not fit {a.shape[1]} queries: give one per query")
    missing = np.isnan(np.concatenate([a, b]))
    if missing.all():
        raise UserError("no query has an average precision: every one is NaN")
    empty = missing.all(axis=1)
    if empty.any():
        side, row = _side(int(empty.argmax()), len(a))
        raise UserError(f"seed {row} of {side} has no average precision at all: this run is missing")
    different = (missing != missing[0]).any(axis=1)
    if different.any():
        side, row = _side(int(different.argmax()), len(a))
        query = int((missing[different.argmax()] != missing[0]).argmax())
        raise UserError(
            f"query {query} has a match in one of seed 0 of A and seed {row} of {side} only: "
            "they were evaluated on different galleries"
        )
    kept = ~missing[0]
    return a[:, kept], b[:, kept], names[kept]


def _side(row: int, of_a: int) -> tuple[str, int]:
    return ("A", row) if row < of_a else ("B", row - of_a)
