"""Page: the methods on one task, reproduced beside reported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from harness.leaderboard import url
from harness.leaderboard.frame import link
from harness.leaderboard.state import read
from harness.store import views
from harness.store.views import LeaderRow
from harness.tables.columns import BY_KEY, COLUMNS, METRICS, PAPER, SETTINGS, Column, notes_on, setting_name, useful
from harness.tables.formats import escape_markdown, to_csv, to_html, to_latex, to_markdown
from harness.tables.table import leader_table
from harness.tables.text import task_title

if TYPE_CHECKING:
    from streamlit.elements.lib.column_types import ColumnConfig

KINDS = {
    "method": "methods",
    "ablation": "ablations",
    "canary": "floors",
    "quoted": "quoted only",
    "unfinished": "unfinished",
}
LABEL = 12  # pixels by which a widget without a label is lowered, to stand beside those with one
COSTS = {"gpu_hours": "GPU hours per run", "cpu_minutes": "CPU minutes per run", "peak_memory_gib": "peak memory (GiB)"}


def page() -> None:
    """Draw the page."""
    st.title("Leaderboard")
    tasks = [task.name for task in read(views.tasks)]
    if not tasks:
        st.info(
            "There is no dataset, method or result yet. Add specs under `datasets/` and `methods/`, then run `make`."
        )
        return
    top = st.columns([3, 4, 2])
    with top[0]:
        task = url.select("Task", tasks, "task", show=task_title)
    with top[1]:
        setting = url.segments("Setting", ["all", *SETTINGS], "setting", "all", show=setting_name)
    with top[2]:
        metric = url.select("Sort by", list(METRICS), "metric", "map", show=METRICS.__getitem__)
    rows = read(views.leaderboard, task, setting, metric)
    shown, columns = _filters(rows)
    if not rows:
        st.info(f"No {setting} method has a result, a reported figure or a plan on {task_title(task)}. "
                "Choose another setting, or see the matrix for the reasons.")  # fmt: skip
        return
    if not shown:
        st.info("No row matches these filters. Clear the search or show more kinds of rows.")
        return
    table, plot = url.tabs(["Table", "Score against cost"], "view")
    with table:
        chosen = _grid(shown, columns, f"{task}|{setting}|{metric}|{len(shown)}")
        _below(task, chosen, shown, columns)
        _reading()
    with plot:
        if plot.open:
            _pareto([row for row in shown if row.scores], metric)


def _kind(row: LeaderRow) -> str:
    if row.scores:
        return row.role if row.role in KINDS else "method"
    return "quoted" if row.state == "reported" else "unfinished"


def _filters(rows: Sequence[LeaderRow]) -> tuple[list[LeaderRow], list[Column]]:
    left, middle, right = st.columns([3, 4, 2])
    with left:
        text = url.search("Search methods", "q", placeholder="name or title", icon=":material/search:")
    with middle:
        kinds = url.several("Rows", list(KINDS), "rows", list(KINDS), show=KINDS.__getitem__, pills=True, quiet=True)
    right.space(LABEL)
    with right, st.popover("Columns", icon=":material/view_column:", width="stretch"):
        names = url.several(
            "Columns", [column.key for column in COLUMNS], "columns",
            [column.key for column in COLUMNS if column.shown], show=lambda key: BY_KEY[key].header, quiet=True,
        )  # fmt: skip
    shown = [row for row in rows if _kind(row) in kinds and (text in row.method or text in row.title.lower())]
    wanted = [column for column in COLUMNS if column.key in names or column.key == "method"]
    return shown, useful(shown, wanted)


def _grid(rows: Sequence[LeaderRow], columns: Sequence[Column], key: str) -> list[LeaderRow]:
    """The table; returns the rows that are ticked."""
    frame = pd.DataFrame(
        {column.key: pd.Series([column.value(row) for row in rows], dtype=_dtype(column)) for column in columns}
    )
    best = {column.key: frame[column.key].max() for column in columns if column.score}

    def emphasise(series: pd.Series[float]) -> list[str]:
        top = best.get(str(series.name))
        return ["font-weight: 700" if top is not None and value == top else "" for value in series]

    event = st.dataframe(
        frame.style.apply(emphasise),
        hide_index=True,
        column_config={column.key: _config(column) for column in columns},
        height="content" if len(rows) <= 18 else 640,
        placeholder="",
        on_select="rerun",
        selection_mode="multi-row",
        key=f"grid:{key}",
        alt="Methods with their scores",
    )
    return [rows[i] for i in event.selection.rows if i < len(rows)]


def _dtype(column: Column) -> str:
    if column.key == "verified":
        return "object"
    return "object" if column.digits is None else "float64"


def _config(column: Column) -> ColumnConfig:
    if column.digits is None:
        return st.column_config.TextColumn(
            column.header,
            help=column.help,
            width="medium" if column.key in ("method", "status") else None,
        )
    sign = "+" if column.signed else ""
    return st.column_config.NumberColumn(column.header, help=column.help, format=f"%{sign}.{column.digits}f")


def _below(task: str, chosen: Sequence[LeaderRow], shown: Sequence[LeaderRow], columns: Sequence[Column]) -> None:
    """Where to go from the ticked rows, exports, and which results these are."""
    with st.container(horizontal=True, vertical_alignment="center"):
        if len(chosen) >= 2:
            link("compare", "Compare the ticked rows", task=task, method=[row.method for row in chosen])
        for row in chosen[:3]:
            if row.seeds:
                link("run", f"Runs of {escape_markdown(row.title)}", run=f"{row.method}__{row.task}__s{row.seeds[0]}")
            else:
                link("methods", escape_markdown(row.title), method=row.method)
        if not chosen:
            st.caption("Tick rows to compare them or to open their runs.")
        st.space("stretch")
        _exports(task, shown, columns)
    snapshot = read(views.snapshot)
    parts = [f"{snapshot.runs} runs in snapshot `{snapshot.id}`"]
    if snapshot.published_runs:
        parts.append(f"{snapshot.published_runs} of them published on {snapshot.published_written} by version "
                     f"{snapshot.published_version}, not computed here")  # fmt: skip
    if snapshot.stale_runs:
        parts.append(f"{snapshot.stale_runs} outdated: their specs have changed since; `harness run` renews them")
    st.caption(" · ".join(parts))
    if snapshot.rejected:
        with st.expander(f"{len(snapshot.rejected)} results were rejected", icon=":material/warning:"):
            st.dataframe(pd.DataFrame(snapshot.rejected, columns=["path", "reason"]), hide_index=True)


def _exports(task: str, rows: Sequence[LeaderRow], columns: Sequence[Column]) -> None:
    paper = [column for column in columns if column.key in PAPER]
    title = task_title(task)
    table = leader_table(title, rows, columns, notes_on(columns))
    short = leader_table(title, rows, paper, notes_on(paper))
    files = {
        "csv": (to_csv([table]), "text/csv"),
        "tex": (to_latex([short]), "application/x-tex"),
        "md": (to_markdown([table]), "text/markdown"),
        "html": (
            to_html([table], "Re-identification leaderboard", f"snapshot {read(views.snapshot).id}"),
            "text/html",
        ),
    }
    for suffix, (text, mime) in files.items():
        st.download_button(
            {"csv": "CSV", "tex": "LaTeX", "md": "Markdown", "html": "HTML"}[suffix],
            text,
            file_name=f"leaderboard-{task}.{suffix}",
            mime=mime,
            on_click="ignore",
            type="tertiary",
            icon=":material/download:",
        )


def _pareto(rows: Sequence[LeaderRow], metric: str) -> None:
    from harness.leaderboard import charts  # Altair: not needed by the table

    available = [cost for cost in COSTS if any(getattr(row, cost) for row in rows)]
    if not available:
        st.info("No method was run here, so nothing has a cost yet: `make` runs the starter methods.")
        return
    cost = url.segments("Cost", available, "cost", available[0], show=COSTS.__getitem__)
    points = charts.pareto_points(rows, metric, cost)
    chart = charts.pareto(points, metric, COSTS[cost])
    note = "dashed: no other method is both cheaper and better"
    charts.show(chart, "pareto", f"{METRICS[metric]} against {COSTS[cost]}", note)


def _reading() -> None:
    with st.expander("How to read this table", icon=":material/help:"):
        for column in COLUMNS:
            st.markdown(f"**{escape_markdown(column.header)}** {escape_markdown(column.help)}")


if __name__ == "__main__":
    page()
