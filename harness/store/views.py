"""What pages and terminal read. Every function is one short transaction and returns plain values or detached rows."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray
from sqlmodel import col, func, select

from harness.errors import UserError
from harness.evaluation.protocol import PROTOCOL
from harness.store import models
from harness.store.database import Store

SCORES = ("map", "rank1", "rank5", "rank10", "minp")
ALL = "all"
QUOTED = "quoted from the literature; no figure for this task"


@dataclass(frozen=True)
class Snapshot:
    """Which results the database holds."""

    id: str
    published_version: str
    published_written: str
    runs: int
    published_runs: int
    stale_runs: int
    rejected: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Score:
    """Percent over seeds; `std` is the sample standard deviation, None for one seed."""

    mean: float
    std: float | None


@dataclass(frozen=True)
class LeaderRow:
    """One leaderboard row: our scores, the reported ones, or the reason for having neither."""

    method: str
    title: str
    setting: str
    role: str
    task: str
    state: str
    reason: str
    seeds: tuple[int, ...]
    scores: dict[str, Score]
    best: dict[str, float] = field(default_factory=dict)
    chosen: dict[str, float] = field(default_factory=dict)
    reported: dict[str, float] = field(default_factory=dict)
    reported_from: str = ""
    reported_verified: bool = False
    reported_note: str = ""
    reported_selection: str = ""
    reported_range: tuple[float, float] | None = None
    difference: float | None = None
    verdict: str = ""
    verdict_note: str = ""
    letters: str = ""
    p_top: float | None = None
    pretraining: str = ""
    input_size: str = ""
    train_cameras: str = ""
    test_cameras: str = ""
    test_time: str = ""
    protocol: str = PROTOCOL
    transductive: bool = False
    gpu_hours: float | None = None
    cpu_hours: float | None = None
    peak_memory_gib: float | None = None
    published: bool = False
    stale: str = ""
    origin: str = ""

    @property
    def cpu_minutes(self) -> float | None:
        """Processor time per run, in minutes."""
        return None if self.cpu_hours is None else 60 * self.cpu_hours

    @property
    def regret(self) -> float | None:
        """How many points of mAP the choice without labels gives away to the epoch that was best on the test set."""
        return self.best["map"] - self.chosen["map"] if "map" in self.best and "map" in self.chosen else None

    def score(self, metric: str) -> float | None:
        """Our mean of `metric`, or None."""
        found = self.scores.get(metric)
        return found.mean if found else None


SHARED = [f.name for f in fields(LeaderRow) if f.name in models.Entry.model_fields and f.name != "seeds"]
"""What a row has from the table as it stands."""


def snapshot(store: Store) -> Snapshot:
    """Return what the database holds."""
    with store.reading() as session:
        meta = {row.name: row.value for row in session.exec(select(models.Meta))}
        runs, published, stale = (
            session.exec(select(func.count()).select_from(models.Run).where(*conditions)).one()
            for conditions in ((), (col(models.Run.published),), (models.Run.stale != "",))
        )
        rejected = session.exec(select(models.Rejected).order_by(col(models.Rejected.path))).all()
    return Snapshot(
        id=meta.get("snapshot", ""),
        published_version=meta.get("published_version", ""),
        published_written=meta.get("published_written", ""),
        runs=runs,
        published_runs=published,
        stale_runs=stale,
        rejected=tuple((row.path, row.reason) for row in rejected),
    )


def snapshot_id(store: Store) -> str:
    """Return the name of the database's state: a key for caches."""
    with store.reading() as session:  # asked before every cached answer: a column costs a third of a row
        return session.exec(select(models.Meta.value).where(models.Meta.name == "snapshot")).one_or_none() or ""


def taken_in(store: Store, place: str) -> float:
    """Return when `results/` was last taken in, in seconds since the epoch; 0 if that is not known."""
    with store.reading() as session:
        row = session.get(models.Meta, f"taken_in{place}")
        return float(row.value) if row else 0.0


def own_runs(store: Store) -> dict[str, int]:
    """Return how many runs of each task were computed on this machine."""
    query = (
        select(models.Run.task, func.count())
        .where(col(models.Run.published).is_(False), models.Run.origin == "")
        .group_by(models.Run.task)
    )
    with store.reading() as session:
        return dict(session.exec(query).all())


def tasks(store: Store) -> list[models.Task]:
    """Return every task that has something to show, those with results first."""
    with store.reading() as session:
        rows = session.exec(select(models.Task)).all()
    return sorted(
        rows,
        key=lambda task: (
            task.reproduced == 0,
            task.reproduced > 0 and task.source is None,  # shown as context of source → target
            -task.reproduced,
            -task.reported,
            task.name,
        ),
    )


def task(store: Store, name: str) -> models.Task:
    """Return a task. Raises UserError for an unknown name."""
    with store.reading() as session:
        found = session.get(models.Task, name)
        known = session.exec(select(models.Task.name)).all() if found is None else []
    if found is None:
        from harness.specs.yamlfile import nearest  # YAML's reader with it: only for who mistyped

        near = nearest(name, known) if known else ""
        raise UserError(f"no task is called {name!r}{near}; `harness list pairings` shows those planned")
    return found


def leaderboard(
    store: Store, task_name: str, setting: str = ALL, metric: str = "map", protocol: str = PROTOCOL
) -> list[LeaderRow]:
    """Return a task's rows, best first: reproduced by our mean, then reported, then running, failed and queued.

    A `source → target` task also shows the methods that need no source on the same target, for context; methods that
    only serve as a start for others are left out. Of a variant of the protocol: the rows that were scored by it, which
    stand in no other list; they have no tie groups.
    Raises UserError for an unknown task, and for a protocol by which nothing on it was scored.
    """
    wanted = task(store, task_name)
    names = {wanted.name, wanted.target}
    if protocol not in (known := protocols(store, task_name)):
        raise UserError(
            f"nothing on {task_name} was scored by protocol {protocol!r}, only by {', '.join(known)}; "
            "`harness evaluate KEY --test-time …` scores a run by another"
        )
    with store.reading() as session:
        query = (
            select(models.Entry, models.Method, models.Tie)
            .join(models.Method, col(models.Method.name) == models.Entry.method, isouter=True)
            .join(
                models.Tie,
                (col(models.Tie.method) == models.Entry.method)
                & (col(models.Tie.task) == wanted.name)
                & (col(models.Tie.scope) == setting)
                & (col(models.Entry.protocol) == PROTOCOL),
                isouter=True,
            )
            .where(
                col(models.Entry.task).in_(names),
                models.Entry.protocol == protocol,
                col(models.Entry.state).not_in(["incompatible", "not planned"]),
            )
        )
        if setting != ALL:
            query = query.where(models.Entry.setting == setting)
        found = session.exec(query).all()
    rows = [_leader_row(entry, method, tie) for entry, method, tie in found if method is None or method.role != "init"]
    return sorted(rows, key=lambda row: _order(row, metric))


def protocols(store: Store, task_name: str) -> list[str]:
    """Return the protocols by which runs on a task were scored: the plain one, then its variants by name.

    Raises UserError for an unknown task.
    """
    wanted = task(store, task_name)
    query = select(models.Entry.protocol).where(col(models.Entry.task).in_({wanted.name, wanted.target})).distinct()
    with store.reading() as session:
        found = session.exec(query).all()
    return [PROTOCOL, *sorted(set(found) - {PROTOCOL})]


def variants(store: Store, key: str) -> list[models.VariantRow]:
    """Return a run's scores by variants of the protocol, by name."""
    query = select(models.VariantRow).where(models.VariantRow.run_key == key)
    with store.reading() as session:
        return list(session.exec(query.order_by(col(models.VariantRow.protocol))).all())


def matrix(store: Store) -> list[LeaderRow]:
    """Return every method on every task; where a quoted method has no figure, a row that says so."""
    with store.reading() as session:
        found = session.exec(
            select(models.Entry, models.Method)
            .join(models.Method, col(models.Method.name) == models.Entry.method, isouter=True)
            .where(models.Entry.protocol == PROTOCOL)
        ).all()
        quoted = session.exec(select(models.Method).where(models.Method.quoted)).all()
        names = session.exec(select(models.Task.name)).all()
    rows = [_leader_row(entry, method, None) for entry, method in found]
    known = {(row.method, row.task) for row in rows}
    return rows + [
        LeaderRow(m.name, m.title, m.setting, m.role, name, "not planned", QUOTED, (), {})
        for m in quoted
        for name in names
        if (m.name, name) not in known
    ]


def _order(row: LeaderRow, metric: str) -> tuple[int, float, str]:
    ours, quoted = row.score(metric), row.reported.get(metric)
    if ours is not None:
        return 0, -ours, row.method
    if row.state == "reported":
        return 1, -(quoted if quoted is not None else -1), row.method
    return 2, models.STATES.index(row.state), row.method


def _leader_row(entry: models.Entry, method: models.Method | None, tie: models.Tie | None) -> LeaderRow:
    scores = {}
    for metric in SCORES:
        mean = getattr(entry, f"{metric}_mean")
        if mean is not None:
            scores[metric] = Score(mean, getattr(entry, f"{metric}_std"))
    best = {"map": entry.best_map, "rank1": entry.best_rank1}
    chosen = {"map": entry.chosen_map, "rank1": entry.chosen_rank1}
    reported = {metric: getattr(entry, f"reported_{metric}") for metric in ("map", "rank1", "rank5", "rank10")}
    low, high = entry.reported_low, entry.reported_high
    return LeaderRow(
        **{name: getattr(entry, name) for name in SHARED},
        title=method.title if method else entry.method,
        role=method.role if method else "unregistered",
        seeds=tuple(entry.seeds),
        scores=scores,
        best={name: value for name, value in best.items() if value is not None},
        chosen={name: value for name, value in chosen.items() if value is not None},
        reported={name: value for name, value in reported.items() if value is not None},
        reported_range=None if low is None or high is None else (low, high),
        letters=tie.letters if tie else "",
        p_top=tie.p_top if tie else None,
    )


def runs(store: Store, task_name: str | None = None, method: str | None = None) -> list[models.Run]:
    """Return the finished runs, by key; of one task or method if named."""
    query = select(models.Run).order_by(col(models.Run.method), col(models.Run.task), col(models.Run.seed))
    if task_name is not None:
        query = query.where(models.Run.task == task_name)
    if method is not None:
        query = query.where(models.Run.method == method)
    with store.reading() as session:
        return list(session.exec(query).all())


def origins(store: Store) -> dict[str, bool]:
    """Return of every finished run, by key, whether it is only published."""
    with store.reading() as session:
        return dict(session.exec(select(models.Run.key, models.Run.published)).all())


def run_keys(store: Store) -> list[str]:
    """Return the keys of all finished runs and of all attempts."""
    with store.reading() as session:
        finished = session.exec(select(models.Run.key)).all()
        tried = session.exec(select(models.AttemptRow.key)).all()
    return sorted({*finished, *tried})


def run(store: Store, key: str) -> models.Run | None:
    """Return a finished run, or None."""
    with store.reading() as session:
        return session.get(models.Run, key)


def run_detail(store: Store, key: str) -> models.RunDetail | None:
    """Return a finished run's record, curves and AP, or None."""
    with store.reading() as session:
        return session.get(models.RunDetail, key)


def ap(store: Store, key: str) -> NDArray[np.float32]:
    """Return a run's AP per query, float32 in [0, 1], NaN without a match. Raises UserError for an unknown run."""
    with store.reading() as session:
        blob = session.exec(select(models.RunDetail.ap).where(models.RunDetail.run_key == key)).one_or_none()
    if blob is None:
        raise UserError(f"there is no finished run {key!r}")
    return np.frombuffer(blob, dtype="<f4")


def test_size(store: Store, task_name: str) -> str:
    """Return how much a task's scores rest on, in words; '' where nothing is scored."""
    found = next((run for run in runs(store, task_name) if run.queries), None)
    if found is None:
        return ""
    people = identities(store, found.target_hash)
    of = f" of {len(np.unique(people))} identities" if people is not None else ""
    return f"{found.queries} queries{of} in {found.gallery} images"


def identities(store: Store, data: str) -> NDArray[np.int32] | None:
    """Return the identity of every query of a dataset's version (its hash), or None if it is not known here."""
    with store.reading() as session:
        found = session.get(models.QuerySet, data)
        return None if found is None else np.frombuffer(found.identities, dtype="<i4")


def attempts(store: Store, key: str | None = None) -> list[models.AttemptRow]:
    """Return the attempts, newest first; of one run if named."""
    query = select(models.AttemptRow).order_by(col(models.AttemptRow.started).desc())
    if key is not None:
        query = query.where(models.AttemptRow.key == key)
    with store.reading() as session:
        return list(session.exec(query).all())


def methods(store: Store) -> list[models.Method]:
    """Return all methods, by name."""
    with store.reading() as session:
        return list(session.exec(select(models.Method).order_by(col(models.Method.name))).all())


def datasets(store: Store) -> list[models.DatasetRow]:
    """Return all datasets, by name."""
    with store.reading() as session:
        return list(session.exec(select(models.DatasetRow).order_by(col(models.DatasetRow.name))).all())


def dataset(store: Store, name: str) -> models.DatasetRow:
    """Return a dataset. Raises UserError if it has no spec any more."""
    with store.reading() as session:
        found = session.get(models.DatasetRow, name)
    if found is None:
        raise UserError(f"dataset {name} has no spec here any more, so its images cannot be shown")
    return found


def figures(store: Store, method: str) -> list[models.Figure]:
    """Return every reported figure of a method, by task."""
    query = select(models.Figure).where(models.Figure.method == method)
    with store.reading() as session:
        return list(session.exec(query.order_by(col(models.Figure.task), col(models.Figure.id))).all())
