"""What the test of methods holds on simulated results with known effects; `full` writes its section of
`docs/statistics.md`.

Beside it the test that compares single runs, `compare_ap`, on AP averaged over the seeds, which is no test of methods.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.measure import Outcome
from benchmarks.page import write_section
from benchmarks.simulated import Draw, Effects, draws
from harness.statistics.basics import LEVEL
from harness.statistics.methods import POWER, compare_runs
from harness.statistics.networks import compare_ap

# Draws of each setting.
SIZES = {"small": 100, "full": 1_000}
RESAMPLES = 199
SEED = 1
PAGE = Path("docs/statistics.md")
TITLE = "How methods are compared"
SPREADS = (0.0, 0.5, 0.9, 1.0, 2.0, 4.0)
LOPSIDED = ((2.5, 0.0), (4.0, 0.4))
IDENTITIES = ((15, 120), (30, 120))
GAINS = (1.0, 2.0, 3.0, 5.0)


@dataclass(frozen=True)
class Found:
    """Shares of the draws: called different by the test of methods, by the one over queries; intervals that cover."""

    effects: Effects
    ours: float
    queries_only: float | None
    covered: float
    seconds: float
    queries_only_seconds: float | None


def run(size: str, repeats: int, with_reference: bool) -> Iterator[Outcome]:
    """Yield every setting; at size `full`, write the page."""
    count = SIZES[size]
    found: list[Found] = []
    for effects in settings():
        found.append(simulate(effects, count, with_reference))
        yield outcome(found[-1])
    if size == "full":
        write_section(TITLE, section(found, count), PAGE)


def settings() -> Iterator[Effects]:
    """Return what is simulated, for 3 and 5 seeds each."""
    for seeds in (3, 5):
        base = Effects(seeds=seeds)
        yield from (replace(base, spread_a=spread, spread_b=spread) for spread in SPREADS)
        yield from (replace(base, spread_a=a, spread_b=b) for a, b in LOPSIDED)
        yield from (replace(base, identities=ids, queries=queries) for ids, queries in IDENTITIES)
        yield from (replace(base, difference=gain) for gain in GAINS)


def simulate(effects: Effects, count: int, with_reference: bool) -> Found:
    """Give `count` draws to both tests."""
    drawn = [_deterministic(draw) if effects.spread_b == 0 < effects.spread_a else draw
             for draw in draws(effects, count, SEED)]  # fmt: skip
    begun = time.perf_counter()
    results = [compare_runs(*draw) for draw in drawn]
    seconds = time.perf_counter() - begun
    covered = np.mean([result.low <= effects.difference <= result.high for result in results])
    ours = float(np.mean([result.p_value < LEVEL for result in results]))
    if not with_reference:
        return Found(effects, ours, None, float(covered), seconds, None)
    begun = time.perf_counter()
    p = [compare_ap(a.mean(axis=0), b.mean(axis=0), SEED, resamples=RESAMPLES).p_value for a, b, _ in drawn]
    return Found(
        effects, ours, float(np.mean(np.array(p) < LEVEL)), float(covered), seconds, time.perf_counter() - begun
    )


def _deterministic(draw: Draw) -> Draw:
    """B's runs are all the same."""
    a, b, identities = draw
    return a, np.repeat(b[:1], len(b), axis=0), identities


def outcome(found: Found) -> Outcome:
    """Return a setting as a line."""
    e = found.effects
    size = f"{e.seeds} seeds, ±{e.spread_a:g}/{e.spread_b:g}, {e.identities} ids"
    what = "false alarms" if e.difference == 0 else f"power at {e.difference:g}"
    beside = "" if found.queries_only is None else f" (over queries only: {found.queries_only:.1%})"
    return Outcome(
        f"statistics {what}",
        size,
        found.seconds,
        0.0,
        "compare_ap",
        found.queries_only_seconds,
        agreement=f"{found.ours:.1%}{beside}, intervals cover {found.covered:.1%}",
    )


SECTION = """\
Written by `python -m benchmarks statistics --size full` ({count:,} draws of every setting); not edited by hand.

A verdict here is *better*, *worse* or *cannot be told apart*, and answers one question: would A be better than B with
other seeds, on queries of other identities? The difference of two methods' mAP, d, is judged with both taken for
random:

> SE² = s_A² / n_A + s_B² / n_B + V, with V = G / (G − 1) · Σ_g (Σ_{{q in g}} (d_q − d))² / Q²

- s_A and s_B are the sample standard deviations of mAP over the n_A and n_B seeds;
- V is the variance of the mean of the per-query differences d_q, with the queries of one identity kept together: the
  cluster-robust variance of a mean over G identities and Q queries (Liang and Zeger, *Biometrika* 1986; the factor for
  few clusters: Cameron and Miller, *Journal of Human Resources* 2015);
- d / SE is judged by Student's t with Satterthwaite's degrees of freedom (*Biometrics Bulletin* 1946; without V this is
  Welch's test, *Biometrika* 1947):

> df = SE⁴ / ((s_A² / n_A)² / (n_A − 1) + (s_B² / n_B)² / (n_B − 1) + V² / (G − 1))

Where several differences stand together, p-values are corrected after Holm (1979): in a leaderboard over all pairs of
its rows, of which those that share a letter cannot be told apart. With one seed on either side there is no verdict: the
interval then speaks of these networks only. A method whose seeds change nothing has s = 0; the degrees of freedom are
then at most 2 (n − 1) of the side that varies, because the estimate from its few seeds alone is too high as often as
their spread comes out small.

`harness compare --runs KEY KEY` asks another question, of two networks: a paired bootstrap and permutation over queries
(`compare_ap`). The tables show what it does when it is taken for a test of methods, with AP averaged over the seeds:
the column *over queries only*.

## What it holds

Simulated AP with known effects: difficulty of the query (shared by both methods, standard deviation {e.shared:g}
points), what a method makes of an identity ({e.identity:g}) and of a query ({e.query:g}), the luck of the seed (the
spread below), noise of every query in every run ({e.noise:g}); {e.identities} identities and {e.queries} queries where
nothing else is said, as in the drawn benchmark. At the 5 % level.

Without a difference, called different (false alarms):

{alarms}

With three seeds, and one method ten times steadier than the other, the degrees of freedom rest on very few numbers, and
false alarms come near 7 %; five seeds mend it.

With a difference, told (power). What the test over queries only tells beyond ours, it tells as readily where there is
nothing, as the table above shows:

{power}

What a page says *could be told* with n seeds is the difference told with a power of {told:.0%}:
(t(1 − 0.05 / 2) + t({told:g})) · SE, with the spreads as found and n seeds on both sides.
"""


def section(found: list[Found], count: int) -> str:
    """Return what was found in Markdown."""
    return SECTION.format(
        count=count,
        e=Effects(),
        alarms=_table([each for each in found if each.effects.difference == 0]),
        power=_table([each for each in found if each.effects.difference != 0]),
        told=POWER,
    )


def _table(found: list[Found]) -> str:
    lines = [
        "| seeds | spread of A, B | identities | true difference | different | over queries only | intervals cover |",
        "| ---: | :---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for each in found:
        e = each.effects
        beside = "" if each.queries_only is None else f"{each.queries_only:.1%}"
        lines.append(
            f"| {e.seeds} | {e.spread_a:g}, {'none' if e.spread_b == 0 < e.spread_a else f'{e.spread_b:g}'} "
            f"| {e.identities} | {e.difference:g} | {each.ours:.1%} | {beside} | {each.covered:.1%} |"
        )
    return "\n".join(lines)
