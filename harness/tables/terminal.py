"""What `harness leaderboard` and `harness compare` print."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from harness.errors import UserError
from harness.store import Store, open_store, views
from harness.store.compare import compare as compare_contestants
from harness.store.compare import contestant
from harness.store.database import database_url
from harness.store.tables import Task
from harness.tables.columns import COLUMNS, METRICS, PAPER, notes_on, useful
from harness.tables.formats import FORMATS, to_csv, to_html, to_json, to_latex, to_markdown, to_terminal
from harness.tables.table import Table, leader_table
from harness.tables.text import signed, task_title

TERMINAL = ("method", "setting", "map", "map_std", "tie", "rank1", "rank5", "rank10", "minp", "seeds", "reported",
            "difference", "verdict", "best", "status")  # fmt: skip


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
) -> str:
    """Return the leaderboard of project `root` from its database, one table per task.

    `format` is one of `FORMATS`; `width` is the terminal's, in characters. Raises UserError for an unknown format,
    task, setting or metric.
    """
    check_choices(format, metric)
    store = open_store(database_url(root), read_only=True)
    try:
        known = views.tasks(store)
        everything = format in ("csv", "json")
        names = [task] if task else [found.name for found in known] if everything else _worth_showing(known)
        tables = [_table(store, name, setting, metric, format) for name in names]
        tables = [table for table in tables if table.rows]
        footer = _footer(views.snapshot(store), sum(1 for found in known if not found.reproduced) if not task else 0)
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
    return f"{to_terminal(tables, width)}{footer}\n"


def _worth_showing(tasks: list[Task]) -> list[str]:
    """Tasks with results, or if none has any with reported figures; no target alone that a source task shows too."""
    filled = [task for task in tasks if task.reproduced] or [task for task in tasks if task.reported]
    covered = {task.target for task in filled if task.source is not None}
    return [task.name for task in filled if task.source is not None or task.target not in covered]


def _table(store: Store, name: str, setting: str, metric: str, format: str) -> Table:  # noqa: A002
    rows = views.leaderboard(store, name, setting, metric)
    if format in ("csv", "json"):
        return leader_table(task_title(name), rows, COLUMNS)
    waiting = [row for row in rows if row.state == "queued"]
    rows = [row for row in rows if row.state != "queued"]
    keys = PAPER if format == "latex" else TERMINAL
    columns = useful(rows, [column for column in COLUMNS if column.key in keys])
    notes = notes_on(columns)
    if waiting and format in ("table", "md"):
        notes += (f"{len(waiting)} methods are planned and wait: `make full` or `harness run` runs them",)
    return leader_table(task_title(name), rows, columns, notes)


def _footer(snapshot: views.Snapshot, reported_only: int) -> str:
    parts = [f"{snapshot.runs} runs", "mAP in percent, protocol reid-v1, last epoch, mean over seeds"]
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
    """Return what `harness compare A B --target T [--source S]` prints: mAP of A minus mAP of B, with its interval.

    `a` and `b` are methods (their seeds averaged per query) or runs' keys. Raises UserError for unknown names.
    """
    if a == b:
        raise UserError(f"{a!r} is on both sides; name two methods or runs")
    store = open_store(database_url(root), read_only=True)
    try:
        task = f"{source}-to-{target}" if source else target
        first, second = contestant(store, task, a), contestant(store, task, b)
        (result,) = compare_contestants(second, [first])
        found = [run for key in (*first.keys, *second.keys) if (run := views.run(store, key))]
    finally:
        store.close()
    lines = [f"{task_title(task)}, {result.queries} queries"]
    for who in (first, second):
        kept = who.ap[~np.isnan(who.ap)]
        seeds = f"{len(who.keys)} seed{'s' if len(who.keys) > 1 else ''}"
        lines.append(f"  {who.title:<28} mAP {100 * float(kept.mean(dtype=np.float64)):5.1f}   {seeds}")
    low, high = signed(result.low), signed(result.high)
    p = "p < 0.001" if result.p_value < 0.001 else f"p = {result.p_value:.3f}"
    lines.append(f"  difference {signed(result.difference)} points, 95 % interval {low} … {high}, {p}")
    lines.append(f"  better on {result.better} queries, worse on {result.worse}")
    lines.append(
        f"  {first.title} is {'better' if result.difference > 0 else 'worse'} than {second.title}"
        if result.p_value < 0.05
        else f"  {first.title} and {second.title} cannot be told apart on these queries"
    )
    lines.append("  (paired bootstrap and permutation over queries; the spread over seeds is a separate matter)")
    published, stale = sum(run.published for run in found), sum(bool(run.stale) for run in found)
    if published:
        lines.append(f"  {published} of the runs are published figures, not computed here")
    if stale:
        lines.append(f"  {stale} of the runs are outdated: their specs have changed since")
    return "\n".join(lines) + "\n"
