"""What `harness leaderboard` and `harness compare` print."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from harness.errors import UserError
from harness.evaluation.protocol import PROTOCOL
from harness.evaluation.variants import parsed
from harness.inputs.text import printable
from harness.specs.pairing import task_name
from harness.statistics.basics import spread
from harness.statistics.methods import verdict
from harness.statistics.networks import compare_ap
from harness.store import Store, open_store, views
from harness.store.compare import TIE, Contestant, check_same_queries, contestant
from harness.store.compare import compare as compare_contestants
from harness.store.database import database_url
from harness.store.models import Task
from harness.tables.columns import COLUMNS, METRICS, notes_on, telling
from harness.tables.exports import paper_table
from harness.tables.formats import FORMATS, UNLIMITED, to_csv, to_html, to_json, to_latex, to_markdown, to_terminal
from harness.tables.table import Table, leader_table
from harness.tables.text import signed, task_title
from harness.tables.verdicts import probability, remarks, sentence

TERMINAL = ("method", "setting", "map", "map_std", "tie", "rank1", "rank5", "rank10", "minp", "seeds", "reported",
            "difference", "verdict", "best", "chosen", "status")  # fmt: skip


def metric_name(text: str) -> str:
    """Return the metric that a user calls `text`: by its name (rank1) or as tables print it (Rank-1, R-1, mAP)."""
    spoken = {name.lower(): metric for metric, title in METRICS.items() for name in (metric, title)}
    return {"r-1": "rank1", "r-5": "rank5", "r-10": "rank10"}.get(text.lower(), spoken.get(text.lower(), text))


def check_choices(format: str, metric: str) -> None:  # noqa: A002 - the option's name
    """Raise UserError for an unknown format or metric, before anything is computed."""
    for kind, given, known in (("format", format, FORMATS), ("metric", metric, METRICS)):
        if given not in known:
            raise UserError(f"no {kind} is called {given!r}; there are {', '.join(known)}")


def render_leaderboard(
    root: Path,
    format: str = "table",  # noqa: A002 - the option's name
    task: str | None = None,
    setting: str = views.ALL,
    metric: str = "map",
    width: int | None = None,
    wide: bool = False,
    protocol: str = PROTOCOL,
) -> str:
    """Return the leaderboard of project `root` from its database, one table per task.

    `format` is one of `FORMATS`; `width` is the terminal's, in characters; `wide` shows every column. Of a variant of
    the protocol only the tasks on which something was scored by it are shown. Raises UserError for an unknown format,
    task, setting or metric, and for a protocol by which nothing was scored.
    """
    check_choices(format, metric)
    store = open_store(database_url(root), read_only=True)
    try:
        known = views.tasks(store)
        everything = format in ("csv", "json")
        names = [task] if task else [found.name for found in known] if everything else _worth_showing(known)
        if protocol != PROTOCOL and not task:
            names = [name for name in names if protocol in views.protocols(store, name)]
            if not names:
                raise UserError(f"no run was scored by {protocol!r}: `harness evaluate KEY --test-time …` does that")
        tables = [_table(store, name, setting, metric, format, wide, protocol) for name in names]
        tables = [table for table in tables if table.rows]
        others = sorted({other for name in names for other in views.protocols(store, name)} - {protocol})
        reported_only = sum(1 for found in known if not found.reproduced) if not task else 0
        footer = _footer(views.snapshot(store), reported_only, protocol, others)
    finally:
        store.close()
    if format == "csv":
        return to_csv(tables)
    if format == "json":
        return to_json(tables)
    if format == "html":
        return to_html(tables, "Re-identification leaderboard", footer)
    if not tables:
        return "There are no results yet: run `make`, or `harness plan` and `harness run`.\n"
    if format == "md":
        return to_markdown(tables)
    if format == "latex":
        return to_latex(tables)
    return f"{to_terminal(tables, UNLIMITED if wide else width)}{printable(footer)}\n"


def _worth_showing(tasks: list[Task]) -> list[str]:
    """Tasks with results, or if none has any with reported figures; no target alone that a source task shows too."""
    filled = [task for task in tasks if task.reproduced] or [task for task in tasks if task.reported]
    covered = {task.target for task in filled if task.source is not None}
    return [task.name for task in filled if task.source is not None or task.target not in covered]


def _table(
    store: Store,
    name: str,
    setting: str,
    metric: str,
    format: str,  # noqa: A002
    wide: bool,
    protocol: str,
) -> Table:
    rows = views.leaderboard(store, name, setting, metric, protocol)
    if format in ("csv", "json"):
        return leader_table(task_title(name), rows, COLUMNS)
    title = task_title(name, {dataset.name: dataset.title for dataset in views.datasets(store)})
    waiting = [row for row in rows if row.state == "queued"]
    rows = [row for row in rows if row.state != "queued"]
    if format == "latex":
        methods = {method.name: method for method in views.methods(store)}
        return paper_table(title, rows, rows, methods, views.snapshot_id(store))
    columns = telling(rows, [column for column in COLUMNS if wide or column.key in TERMINAL])
    notes = notes_on(columns)
    if (size := views.test_size(store, name)) and format in ("table", "md"):
        notes += (f"scores on {size}",)
    if waiting and format in ("table", "md"):
        notes += (f"{len(waiting)} methods are planned and wait: `make full` or `harness run` runs them",)
    return leader_table(title, rows, columns, notes, blocks=True)


def _footer(snapshot: views.Snapshot, reported_only: int, protocol: str, others: list[str]) -> str:
    parts = [f"{snapshot.runs} runs", f"mAP in percent, protocol {protocol}, last epoch, mean over seeds"]
    if parsed(protocol).transductive:
        parts.append("transductive: a query's answer depends on the other test images")
    if others:
        parts.append(f"also scored by {', '.join(others)}: --protocol shows those")
    if snapshot.published_runs:
        parts.append(
            f"{snapshot.published_runs} published {snapshot.published_written} by version "
            f"{snapshot.published_version}, not computed here"
        )
    if snapshot.stale_runs:
        parts.append(f"{snapshot.stale_runs} outdated: their specs have changed")
    if reported_only and snapshot.runs:
        parts.append(f"{reported_only} more tasks have reported figures only: --task NAME shows one, --format csv all")
    if snapshot.rejected:
        parts.append(f"{len(snapshot.rejected)} folders rejected: {snapshot.rejected[0][0]}: {snapshot.rejected[0][1]}")
    return " · ".join([*parts, f"snapshot {snapshot.id}"])


def compare(root: Path, a: str, b: str, target: str, source: str | None = None) -> str:
    """Return what `harness compare A B --target T [--source S]` prints: A against B, over seeds and identities.

    Raises UserError for unknown names.
    """
    if a == b:
        raise UserError(f"{a!r} is on both sides; name two methods")
    store = open_store(database_url(root), read_only=True)
    try:
        task = task_name(source, target)
        first, second = contestant(store, task, a), contestant(store, task, b)
        (found,) = compare_contestants(second, [first])
        origin = _origin(store, first, second)
    finally:
        store.close()
    result = found.result
    lines = [
        f"{task_title(task)}, {result.queries} queries of {result.identities} identities",
        *_sides(first, second),
        _difference(result.difference, result.low, result.high, result.p_value),
        f"  wins · ties · losses over queries: {found.wins} · {found.ties} · {found.losses}",
        f"  {sentence(found, first.title, second.title)}",
        *(f"  {line}" for line in remarks(found)),
        "  (seeds and identities: Student's t with Satterthwaite's degrees of freedom; see docs/statistics.md)",
        *origin,
    ]
    return "\n".join(lines) + "\n"


def compare_two_runs(root: Path, a: str, b: str) -> str:
    """Return what `harness compare --runs KEY KEY` prints: would these two networks differ on other queries?

    Raises UserError for unknown runs, or runs of different query sets.
    """
    if a == b:
        raise UserError(f"{a!r} is on both sides; name two runs")
    store = open_store(database_url(root), read_only=True)
    try:
        for key in (a, b):
            if "__" not in key:
                raise UserError(f"--runs {key}: this is not a run's key; `harness list runs` shows those there are")
        first, second = contestant(store, "", a), contestant(store, "", b)
        check_same_queries(second, first)
        origin = _origin(store, first, second)
    finally:
        store.close()
    result = compare_ap(100 * first.per_query, 100 * second.per_query, seed=0)
    gain = 100 * (first.per_query - second.per_query)
    wins, losses, queries = int((gain >= TIE).sum()), int((gain <= -TIE).sum()), int((~np.isnan(gain)).sum())
    said = verdict(result.difference, result.p_value)
    told = f"{a} and {b} {said}" if said == "cannot be told apart" else f"{a} is {said} than {b}"
    lines = [
        f"two runs, {queries} queries",
        *_sides(first, second),
        _difference(result.difference, result.low, result.high, result.p_value),
        f"  wins · ties · losses over queries: {wins} · {queries - wins - losses} · {losses}",
        f"  {told}: these two networks, on other queries; it says nothing about the methods",
        "  (compare_ap: paired bootstrap and permutation over queries)",
        *origin,
    ]
    return "\n".join(lines) + "\n"


def _sides(*sides: Contestant) -> list[str]:
    width = max(28, *(len(side.title) for side in sides))
    lines = []
    for side in sides:
        over = spread(side.maps.tolist())
        around = f" ± {over.std:.1f}" if over.n > 1 else ""
        listed = f"seed{'s' * (over.n > 1)} {', '.join(map(str, side.seeds))}"
        lines.append(f"  {side.title:<{width}} mAP {over.mean:5.1f}{around:<7} {listed}")
    return lines


def _difference(difference: float, low: float, high: float, p_value: float) -> str:
    p = probability(p_value)
    return (
        f"  difference {signed(difference)} points, 95 % interval {signed(low)} … {signed(high)}, "
        f"p {p if p.startswith('<') else f'= {p}'}"
    )


def _origin(store: Store, *sides: Contestant) -> list[str]:
    """What is to know about the runs behind a comparison."""
    found = [run for side in sides for key in side.keys if (run := views.run(store, key))]
    published, stale = sum(run.published for run in found), sum(bool(run.stale) for run in found)
    lines = []
    if published:
        lines.append(f"  {published} of the runs are published figures, not computed here")
    if stale:
        lines.append(f"  {stale} of the runs are outdated: their specs have changed since")
    return lines
