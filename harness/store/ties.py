"""Which methods of a view can queries not tell apart?

One joint bootstrap per task: the same resampled queries for all methods, so every difference is paired (Efron and
Tibshirani 1993, ch. 6 and 13). A difference's p-value is that of its ratio to its bootstrap standard error under the
normal distribution, because Holm's correction over hundreds of pairs asks for smaller p-values than counting resamples
can give.
"""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
from numpy.typing import NDArray
from sqlmodel import Session, col, delete, select

from harness.evaluation.statistics import LEVEL, holm
from harness.specs.resolve import fingerprint
from harness.store import tables

RESAMPLES = 2000
ALL = "all"


def refresh_ties(session: Session, entries: list[tables.Entry], tasks: dict[str, tuple[str | None, str]]) -> None:
    """Recompute `Tie` from the runs of the reproduced `entries`, for every task whose runs have changed."""
    digests: dict[tuple[str, str], list[str]] = defaultdict(list)
    for method, task, digest in session.exec(
        select(tables.Run.method, tables.Run.task, tables.Run.digest).order_by(col(tables.Run.key))
    ):
        digests[method, task].append(digest)
    session.exec(delete(tables.Tie).where(col(tables.Tie.task).not_in(list(tasks))))
    for task, (_, target) in tasks.items():
        view = [entry for entry in entries if entry.task in (task, target)]
        mark = fingerprint([[e.method, e.setting, *digests[e.method, e.task]] for e in view])
        known = session.get(tables.Meta, f"ties of {task}")
        if known is not None and known.value == mark:
            continue
        session.exec(delete(tables.Tie).where(col(tables.Tie.task) == task))
        session.add_all(_ties(task, view, _vectors(session, view)))
        session.merge(tables.Meta.made(name=f"ties of {task}", value=mark))


def _vectors(session: Session, view: list[tables.Entry]) -> dict[tuple[str, str], tuple[str, NDArray[np.float64]]]:
    """AP per query averaged over seeds, with the hash of the data it belongs to."""
    grouped: dict[tuple[str, str], list[tuple[str, NDArray[np.float32]]]] = defaultdict(list)
    runs = session.exec(
        select(tables.Run.method, tables.Run.task, tables.Run.target_hash, tables.RunDetail.ap)
        .join(tables.RunDetail, col(tables.RunDetail.run_key) == tables.Run.key)
        .where(col(tables.Run.task).in_({entry.task for entry in view}))
        .order_by(col(tables.Run.key))
    )
    for method, task, data, blob in runs:
        grouped[method, task].append((data, np.frombuffer(blob, dtype="<f4")))
    vectors = {}
    for key, found in grouped.items():
        data, first = found[0]
        same = [ap for other, ap in found if other == data and ap.size == first.size]
        if len(same) == len(found):  # seeds on different data have no mean per query
            vectors[key] = (data, np.stack(same).mean(axis=0, dtype=np.float64))
    return vectors


def _ties(
    task: str, view: list[tables.Entry], vectors: dict[tuple[str, str], tuple[str, NDArray[np.float64]]]
) -> list[tables.Tie]:
    view = [entry for entry in view if (entry.method, entry.task) in vectors]
    if len(view) < 2:
        return []
    view = sorted(view, key=lambda entry: -(entry.map_mean or 0))
    data, top = vectors[view[0].method, view[0].task]
    view = [
        entry for entry in view if (found := vectors[entry.method, entry.task])[0] == data and found[1].size == top.size
    ]
    ap = np.stack([vectors[entry.method, entry.task][1] for entry in view])
    ap = ap[:, ~np.isnan(ap).any(axis=0)]
    if len(view) < 2 or not ap.shape[1]:
        return []
    p = pairwise_p(ap)
    rows = []
    for scope in (ALL, *tables.SETTINGS):
        inside = [i for i, entry in enumerate(view) if scope in (ALL, entry.setting)]
        if len(inside) < 2:
            continue
        part = p[np.ix_(inside, inside)]
        letters, against_top = tie_letters(part), [None, *(float(x) for x in holm(part[0, 1:]))]
        rows += [
            tables.Tie.made(task=task, scope=scope, method=view[i].method, letters=letters[n], p_top=against_top[n])
            for n, i in enumerate(inside)
        ]
    return rows


def pairwise_p(ap: NDArray[np.float64], resamples: int = RESAMPLES, seed: int = 0) -> NDArray[np.float64]:
    """Return two-sided p-values [M, M] of equal mAP for every pair; `ap` is float64 [M methods, Q queries]."""
    methods, queries = ap.shape
    generator = np.random.default_rng(seed)
    means = np.empty((resamples, methods))
    for i in range(resamples):
        drawn = np.bincount(generator.integers(0, queries, queries), minlength=queries)
        means[i] = ap @ drawn
    means /= queries
    p = np.ones((methods, methods))
    for i in range(methods):
        for j in range(i + 1, methods):
            error = float((means[:, i] - means[:, j]).std(ddof=1))
            difference = abs(float(ap[i].mean() - ap[j].mean()))
            if error > 0:
                p[i, j] = p[j, i] = math.erfc(difference / error / math.sqrt(2))
    return p


def tie_letters(p: NDArray[np.float64]) -> list[str]:
    """Return per row, best first, the letters of its tie groups: neighbours of which no pair differs.

    `p` is [M, M]; pairs differ at 5 % after Holm's correction. A row that differs from both neighbours has no letter.
    """
    size = len(p)
    upper = np.triu_indices(size, 1)
    different = np.zeros((size, size), dtype=bool)
    different[upper] = holm(p[upper]) <= LEVEL
    groups: list[tuple[int, int]] = []
    for first in range(size):
        last = first
        while last + 1 < size and not different[first : last + 1, last + 1].any():
            last += 1
        if last > first and (not groups or last > groups[-1][1]):
            groups.append((first, last))
    return [
        " ".join(_letter(n) for n, (first, last) in enumerate(groups) if first <= row <= last) for row in range(size)
    ]


def _letter(n: int) -> str:
    return chr(ord("a") + n) if n < 26 else f"a{n - 25}"
