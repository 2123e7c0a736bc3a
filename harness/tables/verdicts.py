"""What a comparison says in words: the same sentences on pages, in the terminal and in the report."""

from __future__ import annotations

import math

from harness.store.compare import TIE, Contestant, MethodComparison

METHOD = """Seeds and identities are both random: the squared standard error of the difference is the variance of mAP
over A's seeds / their number + the same of B + the variance of the mean difference per query, clustered by identity
(Liang and Zeger 1986). Interval and p-value are Student's t with Satterthwaite's degrees of freedom (1946); without the
identities this is Welch's test (1947). See docs/statistics.md for the formula and what it holds."""
HOLM = "With several comparisons, p-values are corrected after Holm (1979); below 0.05 one is better."
WINS = f"queries on which the AP, averaged over the seeds, is higher · within {TIE} points · lower"
ONE_SEED = "one seed is one network: no verdict about methods"
MORE_SEEDS = (5, 10, 20)


def sentence(comparison: MethodComparison, other: str, reference: str) -> str:
    """Return the verdict as a sentence about two titles; with one seed on either side, that there is none."""
    verdict = comparison.verdict
    if verdict is None:
        return f"{other} and {reference}: {ONE_SEED}"
    if verdict == "cannot be told apart":
        return f"{other} and {reference} cannot be told apart"
    return f"{other} is {verdict} than {reference}"


def remarks(comparison: MethodComparison) -> list[str]:
    """Return what a reader must know of a comparison: of whom it speaks, missing seeds, and what it would take."""
    result, lines = comparison.result, []
    sides = (comparison.other, comparison.reference)
    if not result.about_methods:
        lines.append(
            "with one seed on a side, the interval speaks of these networks only, on queries of other identities; "
            "methods are told apart by several seeds of both"
        )
    for side, against in (sides, sides[::-1]):
        missing = sorted(set(against.seeds) - set(side.seeds))
        if missing and min(len(side.seeds), len(against.seeds)) > 1:
            listed = ", ".join(map(str, missing))
            lines.append(f"seed{'s' * (len(missing) > 1)} {listed} of {against.title} missing for {side.title}")
    lines += [f"the seeds of {side.title} change nothing: it is deterministic" for side in sides if deterministic(side)]
    return [*lines, *would_take(comparison)]


def would_take(comparison: MethodComparison) -> list[str]:
    """Return what more seeds could tell, if the methods cannot be told apart."""
    if comparison.verdict != "cannot be told apart":
        return []
    fewest = min(comparison.result.seeds_a, comparison.result.seeds_b)
    seeds = next((n for n in MORE_SEEDS if n > fewest), 2 * fewest)
    alone = "" if comparison.corrected == comparison.result.p_value else ", taken alone"
    found = comparison.result.detectable(seeds)
    return [f"with {seeds} seeds a difference of {found:.1f} could be told{alone} (power 80 %)"]


def deterministic(side: Contestant) -> bool:
    """Whether several seeds gave exactly the same mAP."""
    return len(side.maps) > 1 and len(set(side.maps.tolist())) == 1


def probability(value: float) -> str:
    """Return a p-value as people write it, with its sign of comparison."""
    return "" if math.isnan(value) else "< 0.001" if value < 0.001 else f"{value:.3f}"
