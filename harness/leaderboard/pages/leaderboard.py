"""Page: the methods on one task, reproduced beside reported."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from harness.evaluation.protocol import PROTOCOL
from harness.leaderboard import notices, url
from harness.leaderboard.frame import link, name_window
from harness.leaderboard.state import project, read, task_title, task_titles
from harness.store import views
from harness.store.models import Task
from harness.store.views import LeaderRow
from harness.tables import addresses, exports, label_free
from harness.tables.columns import BY_KEY, COLUMNS, COMPARABLE, METRICS, Column, Value, notes_on, telling, useful
from harness.tables.formats import escape_markdown
from harness.tables.table import place, places
from harness.tables.words import GLOSSARY, INTRODUCTION, ROLES, SETTINGS, is_bound, setting_name

if TYPE_CHECKING:
    from streamlit.elements.lib.column_types import ColumnConfig

COSTS = {"gpu_hours": "GPU hours per run", "cpu_minutes": "CPU minutes per run", "peak_memory_gib": "peak memory (GiB)"}
TALL = 40
"""So many rows are shown at once; of more, the table scrolls."""
NARROWEST, LETTER, MARGINS = 60, 7, 32
"""Pixels of a column of numbers, of a letter of its head, and beside it: so that head and numbers stand close."""
LATE = ("setting", "seeds")
"""Columns that stand behind the scores on the page, so that a phone shows method and scores."""


def page() -> None:
    """Draw the page."""
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.title("Leaderboard", width="content")
        with st.popover("Words", icon=":material/help:", type="tertiary"):
            _words()
    tasks = {task.name: task for task in read(views.tasks)}
    if not tasks:
        st.info(
            "There is no dataset, method or result yet. Add specs under `datasets/` and `methods/`, then run `make`."
        )
        return
    url.check(addresses.Leaderboard)
    with st.container(key="introduction"):
        st.caption(INTRODUCTION)
    top = st.columns([3, 5])
    with top[0]:
        task = url.select("Task", list(tasks), "task", notices.default_task(), show=task_titles())
    with top[1]:
        setting = url.segments("Setting", ["all", *SETTINGS], "setting", "all", show=setting_name)
    name_window(task_title(task))
    notices.show()
    _label_free(task)
    rows, shown, columns, metric = _filters(task, setting)
    if not rows:
        _nothing(tasks[task], list(tasks.values()), setting)
        return
    if not shown:
        st.info("No row matches these filters. Clear the search or show more kinds of rows.")
        return
    table, plot = url.tabs(["Table", "Score against cost"], "view")
    with table:
        _summary(rows, setting)
        chosen = _grid(shown, rows, columns, f"{task}|{setting}|{metric}|{len(shown)}")
        _below(task, chosen, shown, rows, columns)
    with plot:
        if plot.open:
            _pareto([row for row in shown if row.scores], metric)


def _label_free(task: str) -> None:
    """Runs on a target without labeled test images: figures without labels, never an mAP."""
    scored = {key for key, published in read(views.origins).items() if not published}
    rows = label_free.label_free_rows(project(), task, scored)
    if rows:
        st.dataframe(pd.DataFrame(rows, columns=list(label_free.COLUMNS)), hide_index=True, alt="Runs without labels")
        st.caption(label_free.NOTE)


def _words() -> None:
    st.markdown("\n".join(f"- **{word}**: {escape_markdown(text)}" for word, text in GLOSSARY.items()))
    st.markdown("**Columns**")
    st.markdown("\n".join(f"- **{escape_markdown(c.header)}**: {escape_markdown(c.help)}" for c in COLUMNS))


def _nothing(task: Task, tasks: Sequence[Task], setting: str) -> None:
    """No method of this setting stands on the task: its results may be on tasks with a source."""
    st.info(f"No {setting_name(setting)} method has a result, a reported figure or a plan on "
            f"{escape_markdown(task_title(task.name))}. The matrix says why.")  # fmt: skip
    others = [other for other in tasks if other.target == task.target and other.source and not task.source]
    with st.container(horizontal=True):
        for other in others[:5]:
            link(addresses.Leaderboard(task=other.name, setting=setting), f"{setting_name(setting)} on "
                 f"{escape_markdown(task_title(other.name))}")  # fmt: skip
        link(addresses.Matrix(setting=setting, tasks=(task.name,)), "Reasons in the matrix")


def _kind(row: LeaderRow) -> str:
    if row.scores:
        return row.role if row.role in ROLES else "method"
    return "quoted" if row.state == "reported" else "unfinished"


def _filters(task: str, setting: str) -> tuple[list[LeaderRow], list[LeaderRow], list[Column], str]:
    """The rows of the view, those that the filters leave, the columns to show, and the metric that sorts."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        text = url.search("Search methods", "q", placeholder="search methods", icon=":material/search:",
                          label_visibility="collapsed")  # fmt: skip
        with st.popover("Filter", icon=":material/tune:"):
            metric = url.select("Sort by", list(METRICS), "metric", "map", show=METRICS.__getitem__)
            kinds = url.several("Rows", list(ROLES), "rows", list(ROLES), show=ROLES.__getitem__, pills=True,
                                quiet=True)  # fmt: skip
            names = url.several(
                "Columns", [column.key for column in COLUMNS], "columns",
                [column.key for column in COLUMNS if column.shown], show=lambda key: BY_KEY[key].header, quiet=True,
            )  # fmt: skip
            protocols = read(views.protocols, task)
            protocol = protocols[0]
            if len(protocols) > 1:
                protocol = url.select("Protocol", protocols, "protocol", PROTOCOL)
            rows = read(views.leaderboard, task, setting, metric, protocol)
            alike = _alike(rows)
    shown = [
        row for row in rows if _kind(row) in kinds and (text in row.method or text in row.title.lower()) and alike(row)
    ]
    wanted = [column for column in COLUMNS if column.key in names or column.key == "method"]
    chosen = url.stated("columns")
    return rows, shown, (useful if chosen else telling)(shown, wanted), metric


def _alike(rows: Sequence[LeaderRow]) -> Callable[[LeaderRow], bool]:
    """A choice for everything in which the rows differ that makes them comparable; rows without a value stay."""
    wanted: dict[str, list[str]] = {}
    for key in COMPARABLE:
        column = BY_KEY[key]
        found = sorted({column.text(row) for row in rows} - {""})
        if len(found) > 1:
            wanted[key] = url.several(column.header.capitalize(), found, key, found, pills=True, quiet=True)
    return lambda row: all(BY_KEY[key].text(row) in ("", *values) for key, values in wanted.items())


def _summary(rows: Sequence[LeaderRow], setting: str) -> None:
    """The best of each setting in a sentence: by how much, and what it cannot be told apart from."""
    lines = []
    for name in SETTINGS if setting == "all" else (setting,):
        ranked = [row for row in rows if row.setting == name and row.scores and not is_bound(row.setting, row.role)]
        ranked.sort(key=lambda row: -(row.score("map") or 0))
        if len(ranked) < 2:
            continue
        best = ranked[0]
        tied = [row for row in ranked[1:] if set(row.letters.split()) & set(best.letters.split())]
        line = f"Best {setting_name(name)}: **{escape_markdown(best.title)} {best.score('map'):.1f}**"
        if tied:
            titles = ", ".join(escape_markdown(row.title) for row in tied[:3])
            line += f", cannot be told apart from {titles}" + (f" and {len(tied) - 3} more" if len(tied) > 3 else "")
        if len(best.seeds) == 1:
            line += " (one seed: no verdict)"
        rest = [row for row in ranked[1:] if row not in tied]
        if rest:
            lower = (best.score("map") or 0) - (rest[0].score("map") or 0)
            line += f"; next {escape_markdown(rest[0].title)}, {lower:.1f} lower"
        lines.append(line)
    if lines:
        with st.container(key="summary"):
            st.markdown("  \n".join(lines))


def _grid(
    rows: Sequence[LeaderRow], everyone: Sequence[LeaderRow], columns: Sequence[Column], key: str
) -> list[LeaderRow]:
    """The table; returns the rows that are ticked. Bold is best of its setting before any search."""
    shown = _ordered(columns)
    frame = pd.DataFrame(
        {column.key: pd.Series([_value(row, column) for row in rows], dtype=_dtype(column)) for column in shown}
    )
    found = places(everyone, shown)
    marks = {c.key: ["font-weight: 700" if place(found, row, c) == 1 else "" for row in rows] for c in shown}
    asked = url.asked_for("ticked")
    turn = st.session_state["ticks asked for"] = st.session_state.get("ticks asked for", 0) + bool(asked)
    event = st.dataframe(
        frame.style.apply(lambda series: marks[str(series.name)]),
        hide_index=True,
        column_config={column.key: _config(column) for column in shown},
        height="content" if len(rows) <= TALL else 35 * (TALL + 1),
        placeholder="",
        on_select="rerun",
        selection_mode="multi-row",
        selection_default={
            "selection": {"rows": [i for i, row in enumerate(rows) if row.method in asked], "columns": [], "cells": []}
        },
        key=f"grid:{key}:{turn}",
        alt="Methods with their scores",
    )
    ticked = [rows[i] for i in event.selection.rows if i < len(rows)]
    url.listed("ticked", [row.method for row in ticked])
    return ticked


def _ordered(columns: Sequence[Column]) -> list[Column]:
    """The columns with those of `LATE` behind the last score."""
    early = [column for column in columns if column.key not in LATE]
    scores = [i for i, column in enumerate(early) if column.score]
    after = max(scores or [i for i, column in enumerate(early) if column.key == "reported"], default=0) + 1
    return [*early[:after], *(column for column in columns if column.key in LATE), *early[after:]]


def _value(row: LeaderRow, column: Column) -> Value:
    """The cell; a best epoch that is the last says nothing."""
    return None if column.key == "best" and column.text(row) == BY_KEY["map"].text(row) else column.value(row)


def _dtype(column: Column) -> str:
    if column.key == "verified":
        return "object"
    return "object" if column.digits is None else "float64"


def _config(column: Column) -> ColumnConfig:
    if column.digits is None:
        return st.column_config.TextColumn(
            column.header,
            help=column.help,
            width={"method": 200, "status": "medium", "tie": 84}.get(column.key),  # type: ignore[arg-type]
            pinned=column.key == "method",
        )
    sign = "+" if column.signed else ""
    return st.column_config.NumberColumn(
        column.header, help=column.help, format=f"%{sign}.{column.digits}f", alignment="right",
        width=max(NARROWEST, LETTER * len(column.header) + MARGINS),
    )  # fmt: skip


def _below(
    task: str,
    chosen: Sequence[LeaderRow],
    shown: Sequence[LeaderRow],
    everyone: Sequence[LeaderRow],
    columns: Sequence[Column],
) -> None:
    """Where to go from the ticked rows, what the table needs said, exports, and which results these are."""
    with st.container(horizontal=True, vertical_alignment="center"):
        ran = [row for row in chosen if row.scores]
        if len(ran) >= 2:
            link(addresses.Compare(task=task, of=tuple(row.method for row in ran)), "Compare the ticked rows")
        for row in chosen[:3]:
            if row.seeds:
                link(_runs(row), f"Runs of {escape_markdown(row.title)}")
            else:
                link(addresses.Methods(method=row.method), escape_markdown(row.title))
        if not chosen:
            st.caption("Tick rows to compare them or to open their runs.")
    snapshot = read(views.snapshot)
    parts = [f"{len(shown)} methods" if len(shown) == len(everyone) else f"{len(shown)} of {len(everyone)} methods",
             "bold: best of its setting; bounds and floors take no part"]  # fmt: skip
    if size := read(views.test_size, task):
        parts.append(f"scores on {size}")
    protocol = everyone[0].protocol
    if protocol != PROTOCOL:
        kind = "; transductive: a query's answer depends on the other test images" if everyone[0].transductive else ""
        parts.append(f"protocol {escape_markdown(protocol)}, apart from the plain scores{kind}")
    parts += [escape_markdown(note) for note in notes_on(columns)]
    parts.append(f"{snapshot.runs} runs in snapshot `{snapshot.id}`")
    if snapshot.published_runs:
        parts.append(f"{snapshot.published_runs} of them published on {snapshot.published_written} by version "
                     f"{snapshot.published_version}, not computed here")  # fmt: skip
    if snapshot.stale_runs:
        parts.append(f"{snapshot.stale_runs} outdated: their specs have changed since; `harness run` renews them")
    st.caption(" · ".join(parts))
    _exports(task, shown, everyone)
    if snapshot.rejected:
        with st.expander(f"{len(snapshot.rejected)} results were rejected", icon=":material/warning:"):
            st.dataframe(pd.DataFrame(snapshot.rejected, columns=["path", "reason"]), hide_index=True)


def _runs(row: LeaderRow) -> addresses.Runs:
    return addresses.Runs(by=row.method, on=row.task, run=f"{row.method}__{row.task}__s{row.seeds[0]}")


def _exports(task: str, rows: Sequence[LeaderRow], everyone: Sequence[LeaderRow]) -> None:
    files = exports.leaderboard_files(
        task, task_title(task), rows, everyone, {m.name: m for m in read(views.methods)}, read(views.snapshot).id
    )
    with st.container(horizontal=True):
        for label, (suffix, mime, content) in files.items():
            st.download_button(
                label,
                content,
                file_name=f"leaderboard-{task}.{suffix}",
                mime=mime,
                on_click="ignore",
                type="tertiary",
                icon=":material/download:",
            )


def _pareto(rows: Sequence[LeaderRow], metric: str) -> None:
    from harness.leaderboard import charts  # Altair: not needed by the table

    rows = [row for row in rows if row.role != "canary"]
    available = [cost for cost in COSTS if any(getattr(row, cost) for row in rows)]
    if not available:
        st.info("No method was run here, so nothing has a cost yet: `make` runs the starter methods.")
        return
    cost = url.segments("Cost", available, "cost", available[0], show=COSTS.__getitem__)
    points = charts.pareto_points(rows, metric, cost)
    chart = charts.pareto(points, metric, COSTS[cost])
    note = "dashed: no other method is both cheaper and better; without floors"
    charts.show(chart, "pareto", f"{METRICS[metric]} against {COSTS[cost]}", note)


if __name__ == "__main__":
    page()
