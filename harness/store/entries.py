"""Every method on every task, summarized once at ingestion, so that no page ever aggregates raw results."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col, delete, select

from harness.evaluation.protocol import PROTOCOL
from harness.pipeline.plan import present_datasets
from harness.pipeline.status import run_status
from harness.specs import MethodSpec, Pairing, Registry
from harness.specs.pairing import task_name
from harness.statistics.basics import LEVEL, reported_p_value, spread
from harness.store import models
from harness.store.ties import refresh_ties

REPORTED = ("map", "rank1", "rank5", "rank10")
SCORES = ("map", "rank1", "rank5", "rank10", "minp")

NO_STEP = "none"
"""The test-time step of the plain protocol; others follow its name after a '+'."""

TaskKey = tuple[str | None, str]


def refresh_entries(session: Session, registry: Registry) -> None:
    """Recompute `Entry`, `Task` and `Tie` from the runs, figures and specs in this session."""
    runs: dict[tuple[str, str], list[models.Run]] = defaultdict(list)
    for run in session.exec(select(models.Run)):
        runs[run.method, run.task].append(run)
    figures: dict[tuple[str, str], list[models.Figure]] = defaultdict(list)
    for figure in session.exec(select(models.Figure)):
        figures[figure.method, figure.task].append(figure)
    tasks = _tasks(registry, runs, figures)
    methods = session.exec(select(models.Method)).all()
    names = {method.name for method in methods}
    settings = {method.name: method.setting for method in methods}
    settings |= {run.method: run.setting for group in runs.values() for run in group if run.method not in names}
    planned: dict[tuple[str, str], list[Pairing]] = defaultdict(list)
    for pairing in registry.planned.values():
        planned[pairing.method, pairing.task].append(pairing)
    entries = [
        _entry(registry, method, setting, key, runs, figures, planned)
        for method, setting in sorted(settings.items())
        for name, key in tasks.items()
        if method in registry.methods or runs[method, name] or figures[method, name]  # else only quoted elsewhere
    ]
    variants = _variant_entries(registry, session, settings)
    session.exec(delete(models.Entry))
    session.exec(delete(models.Task))
    session.add_all([*entries, *variants])
    session.add_all(
        models.Task.made(
            name=name,
            source=source,
            target=target,
            regime=_regime(registry, target),
            reproduced=sum(entry.task == name and entry.state == "reproduced" for entry in entries),
            reported=sum(entry.task == name and entry.reported_map is not None for entry in entries),
        )
        for name, (source, target) in tasks.items()
    )
    session.flush()
    starts = {method.name for method in methods if method.role == "init"}
    ranked = [entry for entry in entries if entry.state == "reproduced" and entry.method not in starts]
    refresh_ties(session, ranked, tasks)


def _tasks(
    registry: Registry,
    runs: dict[tuple[str, str], list[models.Run]],
    figures: dict[tuple[str, str], list[models.Figure]],
) -> dict[str, TaskKey]:
    """Every task of the specs, the plan, the results and the literature, by name."""
    keys: set[TaskKey] = {(run.source, run.target) for group in runs.values() for run in group}
    keys |= {(figure.source, figure.target) for group in figures.values() for figure in group}
    keys |= {(pairing.source, pairing.target) for pairing in registry.planned.values()}
    for dataset in registry.datasets.values():
        keys |= {(None, dataset.name), *((source, dataset.name) for source in dataset.sources)}
    keys = {(s, t) for s, t in keys if t not in registry.datasets or registry.datasets[t].role == "task"}
    return {f"{s}-to-{t}" if s else t: (s, t) for s, t in sorted(keys, key=lambda key: (key[1], key[0] or ""))}


def _regime(registry: Registry, target: str) -> str:
    return registry.datasets[target].regime if target in registry.datasets else "paper"


def _entry(
    registry: Registry,
    method: str,
    setting: str,
    key: TaskKey,
    runs: dict[tuple[str, str], list[models.Run]],
    figures: dict[tuple[str, str], list[models.Figure]],
    planned: dict[tuple[str, str], list[Pairing]],
) -> models.Entry:
    source, target = key
    task = task_name(source, target)
    mine = sorted(runs.get((method, task), []), key=lambda run: run.seed)
    trials = _trials(figures.get((method, task), []), _regime(registry, target))
    state, reason = _state(registry, method, key, mine, trials, planned[method, task])
    values: dict[str, Any] = {
        "method": method, "task": task, "protocol": PROTOCOL, "setting": setting, "state": state, "reason": reason,
    } | _summary(mine)  # fmt: skip
    if mine:
        values |= {"input_size": _input_size(registry, target), "test_cameras": "no"}
    if trials:
        for score in REPORTED:
            found = [value for trial in trials if (value := getattr(trial, score)) is not None]
            values[f"reported_{score}"] = statistics.fmean(found) if found else None
        values |= {
            "reported_from": trials[0].quoted_from,
            "reported_verified": trials[0].verified,
            "reported_note": trials[0].note,
            "reported_selection": trials[0].selection,
        }
        stated = [f.map for f in figures[method, task] if f.regime == _regime(registry, target) and f.map is not None]
        if stated:
            values |= {"reported_low": min(stated), "reported_high": max(stated)}
        maps = [trial.map for trial in trials if trial.map is not None]
        if mine and maps:
            judged = verdict([run.map for run in mine], maps)
            values |= {"difference": judged.difference, "verdict": judged.verdict, "verdict_note": judged.note}
    return models.Entry.made(**values)


def _input_size(registry: Registry, target: str) -> str:
    image = registry.datasets[target].image if target in registry.datasets else None
    return f"{image.height}×{image.width}" if image else ""


def _variant_entries(registry: Registry, session: Session, settings: dict[str, str]) -> list[models.Entry]:
    """The runs that were scored by variants of the protocol, summarized by variant; nothing is quoted beside them."""
    groups: dict[tuple[str, str, str], list[tuple[models.Run, models.VariantRow]]] = defaultdict(list)
    found = session.exec(
        select(models.Run, models.VariantRow)
        .join(models.VariantRow, col(models.VariantRow.run_key) == models.Run.key)
        .order_by(col(models.Run.seed))
    )
    for run, variant in found:
        groups[run.method, run.task, variant.protocol].append((run, variant))
    entries = []
    for (method, task, protocol), pairs in sorted(groups.items()):
        runs, variants = zip(*pairs, strict=True)
        values = {name: value for name, value in _summary(runs).items() if not name.startswith(("best_", "chosen_"))}
        values |= {
            "method": method, "task": task, "protocol": protocol, "setting": settings[method], "state": "reproduced",
            "reason": "", "input_size": _input_size(registry, runs[0].target),
            "transductive": variants[0].transductive, "test_cameras": "yes" if variants[0].test_cameras else "no",
            "test_time": protocol.partition("+")[2],
        }  # fmt: skip
        entries.append(models.Entry.made(**values | _scores(variants)))
    return entries


def _scores(rows: Sequence[models.Run | models.VariantRow]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for score in SCORES:
        seeds = spread([getattr(row, score) for row in rows])
        found |= {f"{score}_mean": seeds.mean, f"{score}_std": seeds.std if seeds.n > 1 else None}
    return found


def _trials(figures: list[models.Figure], regime: str) -> list[models.Figure]:
    """The figure to stand beside our own: same regime, seen in its source if possible.

    Several that one place states with the same note are the trials of one experiment, and stand together.
    """
    same = [figure for figure in figures if figure.regime == regime]
    if not same:
        return []
    best = min(same, key=lambda figure: (not figure.verified, figure.map is None, figure.id))
    return [figure for figure in same if (figure.quoted_from, figure.note) == (best.quoted_from, best.note)]


def _summary(runs: Sequence[models.Run]) -> dict[str, Any]:
    if not runs:
        return {"seeds": []}
    summary: dict[str, Any] = {"seeds": [run.seed for run in runs], **_scores(runs)}
    best = [run for run in runs if run.best_map is not None]
    if len(best) == len(runs):
        summary["best_map"] = statistics.fmean(run.best_map for run in best if run.best_map is not None)
        summary["best_rank1"] = statistics.fmean(run.best_rank1 for run in best if run.best_rank1 is not None)
    chosen = [run for run in runs if run.chosen_map is not None]
    if len(chosen) == len(runs):
        summary["chosen_map"] = statistics.fmean(run.chosen_map for run in chosen if run.chosen_map is not None)
        summary["chosen_rank1"] = statistics.fmean(run.chosen_rank1 for run in chosen if run.chosen_rank1 is not None)
    used = {"yes" if run.train_cameras else "no" for run in runs if run.train_cameras is not None}
    summary["pretraining"] = ", ".join(sorted({run.pretraining for run in runs}))
    summary["train_cameras"] = ", ".join(sorted(used))
    summary["test_time"] = ", ".join(sorted({run.protocol.partition("+")[2] or NO_STEP for run in runs}))
    summary["gpu_hours"] = statistics.fmean(run.gpu_seconds for run in runs) / 3600
    summary["cpu_hours"] = statistics.fmean(run.cpu_seconds for run in runs) / 3600
    summary["peak_memory_gib"] = max(run.peak_memory_gib for run in runs)
    summary["published"] = any(run.published for run in runs)
    summary["origin"] = next((run.origin for run in runs if run.origin), "")
    summary["stale"] = next((run.stale for run in runs if run.stale), "")
    return summary


def _state(
    registry: Registry,
    method: str,
    key: TaskKey,
    runs: list[models.Run],
    trials: list[models.Figure],
    planned: list[Pairing],
) -> tuple[str, str]:
    done = {run.key for run in runs}
    waiting = [pairing for pairing in planned if pairing.key not in done]
    states = [_pairing_state(registry, pairing) for pairing in sorted(waiting)]
    if runs:
        return "reproduced", _rest(states)
    for wanted in ("running", "failed", "interrupted", "trained", "queued"):
        reasons = [reason for _, state, reason in states if state == wanted]
        if reasons:
            return wanted, reasons[0]
    if trials:
        return "reported", f"quoted from {trials[0].quoted_from}; not run here"
    spec = registry.methods.get(method)
    if spec is None:
        return "not planned", "no spec is registered under this name"
    reason = _incompatible(registry, spec, key)
    return ("incompatible", reason) if reason else ("not planned", _how(registry, method, key))


def _rest(states: list[tuple[int, str, str]]) -> str:
    """What became of the seeds without a result."""
    seeds: dict[str, list[str]] = defaultdict(list)
    for seed, state, reason in states:
        seeds["queued" if state == "queued" else f"{state}: {reason}"].append(str(seed))
    return "; ".join(f"seed{'s' * (len(n) > 1)} {', '.join(n)} {text}" for text, n in seeds.items())


def _incompatible(registry: Registry, spec: MethodSpec, key: TaskKey) -> str | None:
    source, target = key
    for name in (source, target):
        if name is not None and name not in registry.datasets:
            return f"dataset {name} has no spec here"
    return registry.incompatible(spec.name, source, target)


def _how(registry: Registry, method: str, key: TaskKey) -> str:
    present = present_datasets(registry)
    missing = [f"`harness data add {name} PATH`" for name in key if name and name not in present]
    steps = [*missing, f"`harness plan --add --methods {method} --targets {key[1]}`"]
    return f"no run of it is planned: {', then '.join(steps)} plans it"


def _pairing_state(registry: Registry, pairing: Pairing) -> tuple[int, str, str]:
    """What became of a planned run that has no result here."""
    found = run_status(registry.root, pairing.key)
    if found.state == "finished":
        return pairing.seed, "failed", "its result cannot be taken in; `harness leaderboard` says why"
    return pairing.seed, found.state, found.reason


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
