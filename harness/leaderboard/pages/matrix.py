"""Page: every method on every task, and why a cell is empty."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import altair as alt
import pandas as pd
import streamlit as st

from harness.leaderboard import charts, url
from harness.leaderboard.frame import link
from harness.leaderboard.state import read
from harness.store import tables, views
from harness.store.views import LeaderRow
from harness.tables.columns import METRICS, SETTINGS, setting_name
from harness.tables.text import task_title

SIGNS = {
    "reproduced": "",
    "reported": "quoted",
    "running": "running",
    "queued": "queued",
    "failed": "failed",
    "interrupted": "stopped",
    "not planned": "not planned",
    "incompatible": "–",
}


KINDS = {"method": "methods", "ablation": "ablations", "canary": "floors", "quoted": "quoted only"}


TWO_LINES = "split(replace(datum.label, ' → ', ' →|'), '|')"


def page() -> None:
    """Draw the page."""
    st.title("Matrix")
    rows, tasks = read(views.matrix), read(views.tasks)
    if not rows:
        st.info("There is no method yet. Add one with `harness new method NAME --from OTHER`, then run `harness plan`.")
        return
    left, middle, right = st.columns([3, 4, 2])
    with left:
        setting = url.segments("Setting", ["all", *SETTINGS], "setting", "all", show=setting_name)
    with middle:
        active = [task.name for task in tasks if task.reproduced or task.reported] or [task.name for task in tasks]
        names = url.several("Tasks", [task.name for task in tasks], "tasks", active[:8], show=task_title)
    with right:
        metric = url.select("Metric", list(METRICS), "metric", "map", show=METRICS.__getitem__)
    kinds = url.several("Rows", list(KINDS), "kinds", ["method"], show=KINDS.__getitem__, pills=True, quiet=True)
    shown = [row for row in rows if row.task in names and setting in ("all", row.setting) and _kind(row) in kinds]
    if not shown:
        st.info("Nothing is chosen: add a task above, or another setting.")
        return
    cells = _cells(shown, metric)
    heads = [task_title(name) for name in names]
    note = "* reported, not run here; – incompatible; point at a cell for the reason"
    charts.show(_heat_map(cells, heads, metric), "matrix", f"{METRICS[metric]} (%)", note)
    _reasons(cells)
    with st.container(horizontal=True):
        for name in names[:4]:
            link("leaderboard", f"Leaderboard of {task_title(name)}", task=name)


def _kind(row: LeaderRow) -> str:
    return row.role if row.role in (*KINDS, "init") else "method"


def _cells(rows: Sequence[LeaderRow], metric: str) -> pd.DataFrame:
    titles = Counter(title for title, _ in {(row.title, row.method) for row in rows})
    cells = []
    for row in rows:
        ours, quoted = row.score(metric), row.reported.get(metric)
        figure = ours if ours is not None else quoted
        cells.append(
            {
                "method": row.title if titles[row.title] == 1 else f"{row.title} ({setting_name(row.setting)})",
                "setting": row.setting,
                "task": task_title(row.task),
                "state": row.state,
                "value": ours,
                "text": f"{figure:.1f}" + ("" if ours is not None else "*") if figure is not None else SIGNS[row.state],
                "reason": row.reason or (f"{len(row.seeds)} seeds" if row.seeds else ""),
            }
        )
    return pd.DataFrame(cells)


def _heat_map(cells: pd.DataFrame, tasks: list[str], metric: str) -> alt.LayerChart:
    order = list(dict.fromkeys(cells.sort_values(["setting", "method"])["method"]))
    # every column must say its task: two lines for source → target, and no label left out where they come close
    heads = alt.Axis(
        orient="top",
        labelAngle=0,
        labelPadding=18,
        labelLimit=130,
        labelOverlap=False,
        labelExpr=TWO_LINES,
        ticks=False,
    )
    x = alt.X("task:N", title=None, sort=tasks, axis=heads)
    y = alt.Y("method:N", title=None, sort=order, axis=alt.Axis(labelLimit=260, ticks=False))
    tooltip = [
        "method",
        "setting",
        "task",
        "state",
        alt.Tooltip("value:Q", format=".1f", title=METRICS[metric]),
        "reason",
    ]
    base = alt.Chart(cells)
    empty = base.transform_filter("!isValid(datum.value)").mark_rect(color="gray", opacity=0.08, stroke="gray")
    filled = (
        base.transform_filter("isValid(datum.value)")
        .mark_rect()
        .encode(color=alt.Color("value:Q", legend=None, scale=alt.Scale(scheme="blues", domain=[0, 100])))
    )
    inside = base.transform_filter("isValid(datum.value)").mark_text(fontSize=13).encode(
        text="text:N", color=alt.condition("datum.value > 55", alt.value("white"), alt.value("#12283c"))
    )  # fmt: skip
    outside = base.transform_filter("!isValid(datum.value)").mark_text(fontSize=12, color="gray").encode(text="text:N")
    layers = [layer.encode(x=x, y=y, tooltip=tooltip) for layer in (empty, filled, inside, outside)]
    return alt.LayerChart(layer=layers).properties(height=34 * len(order) + 40)


def _reasons(cells: pd.DataFrame) -> None:
    empty = cells[cells["value"].isna()]
    states = [state for state in tables.STATES if (empty["state"] == state).any()]
    title, asked = f"Why {len(empty)} cells are empty", "states" in st.query_params
    with st.expander(title, expanded=asked, icon=":material/help:"):
        wanted = url.several("State", states, "states", states, pills=True, quiet=True)
        chosen = empty[empty["state"].isin(wanted)]
        st.dataframe(chosen[["method", "task", "state", "reason"]], hide_index=True, alt="Reasons of empty cells")


if __name__ == "__main__":
    page()
