"""Comparing methods, or single runs, on one task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError
from harness.statistics.basics import holm
from harness.statistics.methods import RunComparison, Verdict, compare_runs, verdict
from harness.store import models, views
from harness.store.database import Store

TIE = 0.05
"""Points of AP: a query is won by at least so much; what is nearer is a tie, since it prints the same."""


@dataclass(frozen=True)
class Contestant:
    """A method with all its runs on a task, or a single run.

    `ap`: float32 [runs, queries] in [0, 1], NaN without a match; `identities` [queries], None if an older snapshot does
    not state them; `data`: the hashes of the dataset's versions that the runs were evaluated on.
    """

    name: str
    title: str
    keys: tuple[str, ...]
    seeds: tuple[int, ...]
    ap: NDArray[np.float32]
    data: frozenset[str]
    identities: NDArray[np.int32] | None

    @property
    def per_query(self) -> NDArray[np.float64]:
        """AP of every query, averaged over the runs."""
        return np.asarray(self.ap.mean(axis=0, dtype=np.float64))

    @property
    def maps(self) -> NDArray[np.float64]:
        """The mAP of every run, in percent."""
        return np.asarray(100 * self.ap[:, ~np.isnan(self.ap[0])].mean(axis=1, dtype=np.float64))


@dataclass(frozen=True)
class MethodComparison:
    """`other` against `reference`: `result` in points of mAP, its p-value after Holm among the verdicts
    that are shown with it, queries won, tied and lost.
    """

    reference: Contestant
    other: Contestant
    result: RunComparison
    corrected: float
    wins: int
    ties: int
    losses: int

    @property
    def verdict(self) -> Verdict | None:
        """`other` against `reference`, by the corrected p-value; None where one side has one seed."""
        return verdict(self.result.difference, self.corrected) if self.result.about_methods else None


def contestant(store: Store, task_name: str, name: str) -> Contestant:
    """Return the method or run called `name` on a task; a method that needs no source also stands on the target alone.

    Raises UserError if it has no finished run there, or runs of different query sets.
    """
    if "__" in name:
        run = views.run(store, name)
        if run is None:
            raise UserError(f"there is no finished run {name!r}; `harness list runs` shows those there are")
        return _of_runs(store, name, f"{run.method}, seed {run.seed}", [run])
    target = views.task(store, task_name).target
    for place in dict.fromkeys((task_name, target)):
        runs = views.runs(store, place, name)
        if runs:
            return _of_runs(store, name, name, runs)
    raise UserError(f"{name!r} has no finished run on {task_name}; {_hint(store, name)}")


def _of_runs(store: Store, name: str, title: str, runs: Sequence[models.Run]) -> Contestant:
    values = [views.ap(store, run.key) for run in runs]
    if len({value.size for value in values}) > 1:
        raise UserError(f"the seeds of {name} on {runs[0].task} were evaluated on different query sets")
    data = frozenset(run.target_hash for run in runs)
    known = views.identities(store, next(iter(data))) if len(data) == 1 else None
    keys, seeds = tuple(run.key for run in runs), tuple(run.seed for run in runs)
    return Contestant(name, title, keys, seeds, np.stack(values), data, known)


def _hint(store: Store, name: str) -> str:
    """Where a method has runs, if it is one at all."""
    known = [method.name for method in views.methods(store)]
    if name not in known:
        from harness.specs.yamlfile import nearest  # YAML's reader with it: only for who mistyped

        return f"no method is called so{nearest(name, known)}"
    tasks = sorted({run.task for run in views.runs(store, method=name)})
    if tasks:
        return f"it has on {', '.join(tasks)} (a source is named with --source)"
    return "to run it there: harness run KEY, for a KEY of `harness list pairings`"


def compare(reference: Contestant, others: Sequence[Contestant]) -> list[MethodComparison]:
    """Compare each of `others` with `reference` over seeds and identities, p-values corrected after Holm.

    Raises UserError if they were evaluated on different query sets, or the queries' identities are not known.
    """
    return corrected([_counted(reference, other) for other in others])


def corrected(comparisons: Sequence[MethodComparison]) -> list[MethodComparison]:
    """Return the comparisons with their p-values corrected after Holm for the number of verdicts among them."""
    p_values = iter(holm([found.result.p_value for found in comparisons if found.result.about_methods]))
    return [
        replace(found, corrected=float(next(p_values))) if found.result.about_methods else found
        for found in comparisons
    ]


def _counted(reference: Contestant, other: Contestant) -> MethodComparison:
    result = _compared(reference, other)
    gain = 100 * (other.per_query - reference.per_query)
    wins, losses = int((gain >= TIE).sum()), int((gain <= -TIE).sum())
    return MethodComparison(reference, other, result, result.p_value, wins, result.queries - wins - losses, losses)


def _compared(reference: Contestant, other: Contestant) -> RunComparison:
    check_same_queries(reference, other)
    if other.identities is None:
        raise UserError(
            f"the identities of the queries of {other.title} are not known: they come with results that were evaluated "
            f"here (`harness run {other.keys[0]}`) or published by this version (`harness results publish`)"
        )
    return compare_runs(100 * other.ap.astype(np.float64), 100 * reference.ap.astype(np.float64), other.identities)


def check_same_queries(a: Contestant, b: Contestant) -> None:
    """Raise UserError unless all runs of both have the same queries with a match, on the same version of the data."""
    same = a.data == b.data and len(a.data) == 1 and a.ap.shape[1] == b.ap.shape[1]
    missing = np.isnan(np.concatenate([a.ap, b.ap])) if same else None
    if missing is None or (missing != missing[0]).any():
        raise UserError(
            f"{a.title} and {b.title} were evaluated on different query sets or galleries; evaluate them again"
        )
