"""Tie groups: methods whose mAP does not differ significantly.

Every pair is compared over seeds and identities (`compare_runs`), the p-values are corrected after Holm over the pairs
of the view. Methods with one seed are not among them: nothing is known of their other seeds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlmodel import Session, col, delete, select

from harness.specs.resolve import fingerprint
from harness.statistics.basics import LEVEL, holm
from harness.statistics.methods import compare_runs
from harness.store import models

ALL = "all"


@dataclass(frozen=True)
class _Runs:
    """All runs of a method on a task: AP [seeds, queries], and the hash of the data they belong to."""

    data: str
    ap: NDArray[np.float32]

    def comparable(self, other: _Runs) -> bool:
        """Whether the same queries have a match."""
        return (
            self.data == other.data
            and self.ap.shape[1] == other.ap.shape[1]
            and np.array_equal(np.isnan(self.ap[0]), np.isnan(other.ap[0]))
        )


def refresh_ties(session: Session, entries: list[models.Entry], tasks: dict[str, tuple[str | None, str]]) -> None:
    """Recompute `Tie` from the runs of the reproduced `entries`, for every task whose runs have changed."""
    digests: dict[tuple[str, str], list[str]] = defaultdict(list)
    for method, task, digest in session.exec(
        select(models.Run.method, models.Run.task, models.Run.digest).order_by(col(models.Run.key))
    ):
        digests[method, task].append(digest)
    session.exec(delete(models.Tie).where(col(models.Tie.task).not_in(list(tasks))))
    known_sets = sorted(session.exec(select(models.QuerySet.data)).all())
    for task, (_, target) in tasks.items():
        view = [entry for entry in entries if entry.task in (task, target)]
        mark = fingerprint([known_sets, *([e.method, e.setting, *digests[e.method, e.task]] for e in view)])
        known = session.get(models.Meta, f"ties of {task}")
        if known is not None and known.value == mark:
            continue
        session.exec(delete(models.Tie).where(col(models.Tie.task) == task))
        session.add_all(_ties(session, task, view))
        session.merge(models.Meta.made(name=f"ties of {task}", value=mark))


def _runs(session: Session, view: list[models.Entry]) -> dict[tuple[str, str], _Runs]:
    """The runs of every method with several seeds, all on the same queries."""
    grouped: dict[tuple[str, str], list[_Runs]] = defaultdict(list)
    found = session.exec(
        select(models.Run.method, models.Run.task, models.Run.target_hash, models.RunDetail.ap)
        .join(models.RunDetail, col(models.RunDetail.run_key) == models.Run.key)
        .where(col(models.Run.task).in_({entry.task for entry in view}))
        .order_by(col(models.Run.key))
    )
    for method, task, data, blob in found:
        grouped[method, task].append(_Runs(data, np.frombuffer(blob, dtype="<f4")[None]))
    return {
        key: _Runs(runs[0].data, np.concatenate([run.ap for run in runs]))
        for key, runs in grouped.items()
        if len(runs) > 1 and all(run.comparable(runs[0]) for run in runs)
    }


def _ties(session: Session, task: str, view: list[models.Entry]) -> list[models.Tie]:
    """The rows of a task, best method first; those on other data than the best have none."""
    runs = _runs(session, view)
    view = [entry for entry in view if (entry.method, entry.task) in runs]
    view = sorted(view, key=lambda entry: -(entry.map_mean or 0))
    if not view:
        return []
    top = runs[view[0].method, view[0].task]
    view = [entry for entry in view if runs[entry.method, entry.task].comparable(top)]
    queries = session.get(models.QuerySet, top.data)
    identities = np.frombuffer(queries.identities, dtype="<i4") if queries else np.empty(0, np.int32)
    if identities.size != top.ap.shape[1] or len(np.unique(identities[~np.isnan(top.ap[0])])) < 2:
        return []  # a comparison says why
    p = pairwise_p([runs[entry.method, entry.task].ap for entry in view], identities)
    rows = []
    for scope in (ALL, *models.SETTINGS):
        inside = [i for i, entry in enumerate(view) if scope in (ALL, entry.setting)]
        if len(inside) < 2:
            continue
        part = p[np.ix_(inside, inside)]
        letters, against_top = tie_letters(part), [None, *(float(x) for x in holm(part[0, 1:]))]
        rows += [
            models.Tie.made(task=task, scope=scope, method=view[i].method, letters=letters[n], p_top=against_top[n])
            for n, i in enumerate(inside)
        ]
    return rows


def pairwise_p(methods: Sequence[NDArray[np.float32]], identities: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return the p-value of `compare_runs` for every pair, [M, M]; `methods` are AP [seeds, queries] each."""
    p = np.ones((len(methods), len(methods)))
    for i, first in enumerate(methods):
        for j in range(i + 1, len(methods)):
            p[i, j] = p[j, i] = compare_runs(first, methods[j], identities).p_value
    return p


def tie_letters(p: NDArray[np.float64]) -> list[str]:
    """Return the letters of every row, best row first: two rows share one if and only if they cannot be told apart.

    `p` is [M, M]; pairs differ at 5 % after Holm's correction. Groups are made by splitting them at each pair that
    differs and dropping those inside others (Piepho, Journal of Computational and Graphical Statistics 2004). A row
    that differs from all others has no letter.
    """
    first, second = np.triu_indices(len(p), 1)
    different = holm(p[first, second]) < LEVEL
    groups = [frozenset(range(len(p)))]
    for i, j in zip(first[different].tolist(), second[different].tolist(), strict=True):
        split = {part for group in groups for part in (group - {i}, group - {j}) if {i, j} <= group}
        rest = {group for group in groups if not {i, j} <= group}
        groups = list(rest | {part for part in split if not any(part < other for other in rest | split)})
    shared = sorted(sorted(group) for group in groups if len(group) > 1)
    return [" ".join(_letter(n) for n, group in enumerate(shared) if row in group) for row in range(len(p))]


def _letter(n: int) -> str:
    return chr(ord("a") + n) if n < 26 else f"a{n - 25}"
