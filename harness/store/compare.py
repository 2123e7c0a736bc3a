"""Comparing methods or runs query by query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError
from harness.evaluation.statistics import compare_ap, holm
from harness.specs.yamlfile import nearest
from harness.store import views
from harness.store.database import Store


@dataclass(frozen=True)
class Contestant:
    """A method (its seeds averaged) or a single run on a task. `ap`: float32 per query, NaN without a match.

    `data` holds the hashes of the dataset's versions that its runs were evaluated on.
    """

    name: str
    title: str
    keys: tuple[str, ...]
    ap: NDArray[np.float32]
    data: frozenset[str]


@dataclass(frozen=True)
class Comparison:
    """`other` against `reference`: difference of mAP with its 95 % interval in points, p-values, queries won."""

    reference: str
    other: str
    difference: float
    low: float
    high: float
    p_value: float
    corrected: float
    better: int
    worse: int
    queries: int


def contestant(store: Store, task_name: str, name: str) -> Contestant:
    """Return the method or run called `name` on a task; a method that needs no source also stands on the target alone.

    Raises UserError if it has no finished run there.
    """
    if "__" in name:
        found = views.run(store, name)
        if found is None:
            raise UserError(f"there is no finished run {name!r}; `harness list runs` shows those there are")
        return Contestant(
            name, f"{found.method}, seed {found.seed}", (name,), views.ap(store, name), frozenset({found.target_hash})
        )
    target = views.task(store, task_name).target
    for place in dict.fromkeys((task_name, target)):
        runs = views.runs(store, place, name)
        if runs:
            keys = tuple(run.key for run in runs)
            data = frozenset(run.target_hash for run in runs)
            return Contestant(name, name, keys, views.mean_ap(store, name, place), data)
    raise UserError(f"{name!r} has no finished run on {task_name}; {_hint(store, name)}")


def _hint(store: Store, name: str) -> str:
    """Where a method has runs, if it is one at all."""
    known = [method.name for method in views.methods(store)]
    if name not in known:
        return f"no method is called so{nearest(name, known)}"
    tasks = sorted({run.task for run in views.runs(store, method=name)})
    if tasks:
        return f"it has on {', '.join(tasks)} (a source is named with --source)"
    return "to run it there: dvc repro evaluate@KEY, for a KEY of `harness list pairings`"


def compare(reference: Contestant, others: Sequence[Contestant]) -> list[Comparison]:
    """Compare each of `others` with `reference` by paired bootstrap over queries, p-values corrected after Holm.

    Raises UserError if they were evaluated on different query sets.
    """
    results = []
    for other in others:
        a, b = paired(reference, other)
        results.append((other, a, b, compare_ap(b, a, 0)))
    corrected = holm([result.p_value for *_, result in results])
    return [
        Comparison(
            reference.name,
            other.name,
            100 * result.difference,
            100 * result.low,
            100 * result.high,
            result.p_value,
            float(p),
            better=int((b > a).sum()),
            worse=int((b < a).sum()),
            queries=a.size,
        )
        for (other, a, b, result), p in zip(results, corrected, strict=True)
    ]


def paired(a: Contestant, b: Contestant) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both AP vectors on the queries that have a match. Raises UserError for different query sets."""
    if a.data != b.data or a.ap.size != b.ap.size or not np.array_equal(np.isnan(a.ap), np.isnan(b.ap)):
        raise UserError(f"{a.title} and {b.title} were evaluated on different query sets; evaluate them again")
    kept = ~np.isnan(a.ap)
    return a.ap[kept].astype(np.float64), b.ap[kept].astype(np.float64)
