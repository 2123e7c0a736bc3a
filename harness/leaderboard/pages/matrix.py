"""Page: every method on every task, and why a cell is empty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from harness.leaderboard import url
from harness.leaderboard.frame import link, name_window
from harness.leaderboard.state import read, task_title, task_titles, theme
from harness.store import models, views
from harness.store.views import LeaderRow
from harness.tables import addresses, exports
from harness.tables.columns import BY_KEY, METRICS
from harness.tables.formats import escape_markdown, prose
from harness.tables.style import DIM, shade
from harness.tables.table import place, places, unique_titles
from harness.tables.words import ROLES, SETTINGS, setting_name

SIGNS = {"running": "running", "queued": "queued", "trained": "trained", "failed": "failed", "interrupted": "stopped",
         "not planned": "·", "incompatible": "–"}  # fmt: skip
KINDS = {kind: title for kind, title in ROLES.items() if kind != "unfinished"}


def page() -> None:
    """Draw the page."""
    st.title("Matrix")
    rows, tasks = read(views.matrix), read(views.tasks)
    if not rows:
        st.info("There is no method yet. Add one with `harness new method NAME --from OTHER`, then run `harness plan`.")
        return
    url.check(addresses.Matrix)
    left, right = st.columns([5, 2])
    with left:
        setting = url.segments("Setting", ["all", *SETTINGS], "setting", "all", show=setting_name)
    with right:
        metric = url.select("Metric", list(METRICS), "metric", "map", show=METRICS.__getitem__)
    active = [task.name for task in tasks if task.reproduced or task.reported] or [task.name for task in tasks]
    names = url.several("Tasks", [task.name for task in tasks], "tasks", active[:8], show=task_titles())
    kinds = url.several("Rows", list(KINDS), "kinds", ["method"], show=KINDS.__getitem__, pills=True, quiet=True)
    shown = [row for row in rows if row.task in names and setting in ("all", row.setting) and _kind(row) in kinds]
    if not shown:
        st.info("Nothing is chosen: add a task above, or another setting.")
        return
    name_window(f"{METRICS[metric]} of every method")
    titles = unique_titles(shown)
    st.caption(f"{METRICS[metric]} in percent, mean over seeds. Bold: best of its block; * reported, not run here; "
               "· not planned; – not possible. Choose a cell: where it comes from, or why it is empty.")  # fmt: skip
    for name in SETTINGS:
        block = [row for row in shown if row.setting == name]
        if block:
            _block(name, block, names, metric, titles)
    _cell({(row.method, row.task): row for row in shown}, titles)
    _reasons(shown, titles)
    _exports(shown, names, metric)
    with st.container(horizontal=True):
        for name in names[:4]:
            link(addresses.Leaderboard(task=name), f"Leaderboard of {escape_markdown(task_title(name))}")


def _kind(row: LeaderRow) -> str:
    return row.role if row.role in (*KINDS, "init") else "method"


def _text(row: LeaderRow, metric: str) -> str:
    ours, quoted = row.score(metric), row.reported.get(metric)
    if ours is not None:
        return f"{ours:.1f}"
    return f"{quoted:.1f}*" if quoted is not None else SIGNS.get(row.state, "·")


def _block(setting: str, rows: Sequence[LeaderRow], tasks: Sequence[str], metric: str, titles: dict[str, str]) -> None:
    """The methods of one setting on the tasks that are possible for it, the best on average first."""
    cells = {(row.method, row.task): row for row in rows}
    possible = [task for task in tasks if any(row.task == task and row.state != "incompatible" for row in rows)]
    if not possible:
        return
    scores = {name: [s for t in possible if (r := cells.get((name, t))) and (s := r.score(metric)) is not None]
              for name in {row.method for row in rows}}  # fmt: skip
    order = sorted(scores, key=lambda name: (-sum(scores[name]) / max(len(scores[name]), 1), titles[name]))
    texts = {task: [_text(cells[name, task], metric) if (name, task) in cells else "" for name in order]
             for task in possible}  # fmt: skip
    # padded with blanks, which come before digits: sorted as text, numbers stand in their order
    frame = pd.DataFrame({"method": [titles[name] for name in order],
                          **{task: [text.rjust(5) for text in texts[task]] for task in possible}})  # fmt: skip
    found = {task: places([row for row in rows if row.task == task], [BY_KEY[metric]]) for task in possible}

    def styles(column: pd.Series[str]) -> list[str]:
        if column.name not in possible:
            return [""] * len(order)
        looks = []
        for name in order:
            row = cells.get((name, str(column.name)))
            value = row.score(metric) if row else None
            best = row is not None and place(found[str(column.name)], row, BY_KEY[metric]) == 1
            dim = f"color: {DIM[theme()]}"
            looks.append((shade(value) if value is not None else dim) + ("; font-weight: 700" if best else ""))
        return looks

    st.markdown(f"**{SETTINGS[setting][:1].upper()}{SETTINGS[setting][1:]}**")
    key = f"matrix:{setting}:{metric}:{len(order)}:{len(possible)}"

    def chosen() -> None:
        selected = st.session_state[key].selection.cells
        if selected and selected[0][1] in possible:
            url.state("cell", f"{order[selected[0][0]]}@{selected[0][1]}")

    heads = {task: task_titles()(task) for task in possible}
    st.dataframe(
        frame.style.apply(styles),
        hide_index=True,
        height="content",
        width="content",
        on_select=chosen,
        selection_mode="single-cell",
        key=key,
        column_config={
            "method": st.column_config.TextColumn("method", pinned=True, width=208),
            **{
                task: st.column_config.TextColumn(
                    head, alignment="left", help=task, width=min(max(80, 7 * len(head) + 32), 400)
                )
                for task, head in heads.items()
            },
        },
        alt=f"{METRICS[metric]} of {SETTINGS[setting]} methods on every task",
    )


def _reason(row: LeaderRow) -> str:
    return row.reason.replace(f"{row.method} is a '{row.setting}'", f"{row.title} is a {setting_name(row.setting)}")


def _cell(cells: Mapping[tuple[str, str], LeaderRow], titles: dict[str, str]) -> None:
    """Where the chosen cell's figure comes from, or why there is none."""
    asked = url.chosen("cell")
    if not asked:
        return
    method, _, task = asked.partition("@")
    row = cells.get((method, task))
    if row is None:
        st.warning(f"The address asks for “{escape_markdown(asked[:80])}”, which is no cell of this table.")
        return
    with st.container(border=True):
        st.markdown(f"**{escape_markdown(titles[method])}** on {escape_markdown(task_title(task))}")
        if row.scores:
            spread = row.scores["map"].std
            seeds = f"{len(row.seeds)} seeds" if len(row.seeds) > 1 else "one seed"
            mean = f"mAP {row.scores['map'].mean:.1f}" + (f" ± {spread:.1f}" if spread is not None else "")
            st.markdown(f"{mean}, {seeds}" + (f"; {prose(row.reason)}" if row.reason else ""))
        else:
            st.markdown(f"{row.state}: {prose(_reason(row))}")
        with st.container(horizontal=True):
            if row.scores:
                link(addresses.Runs(by=method, on=task, run=f"{method}__{task}__s{row.seeds[0]}"), "Its runs")
            link(addresses.Methods(method=method), "The method and its sources")
            link(addresses.Leaderboard(task=task), "The task")


def _reasons(rows: Sequence[LeaderRow], titles: dict[str, str]) -> None:
    empty = [row for row in rows if not row.scores and not row.reported]
    states = [state for state in models.STATES if any(row.state == state for row in empty)]
    if not states:
        return
    with st.expander(f"Why {len(empty)} cells are empty", expanded=url.stated("states"), icon=":material/help:"):
        wanted = url.several("State", states, "states", states, pills=True, quiet=True)
        titled = task_titles()
        frame = pd.DataFrame(
            [
                {"method": titles[row.method], "task": titled(row.task), "state": row.state, "reason": _reason(row)}
                for row in empty
                if row.state in wanted
            ],
            columns=["method", "task", "state", "reason"],
        )
        st.dataframe(
            frame,
            hide_index=True,
            height="content" if len(frame) <= 40 else 35 * 41,
            column_config={"reason": st.column_config.TextColumn(width="large")},
            alt="Reasons of empty cells",
        )


def _exports(rows: Sequence[LeaderRow], tasks: Sequence[str], metric: str) -> None:
    methods = {method.name: method for method in read(views.methods)}
    files = exports.matrix_files(
        rows, dict(zip(tasks, map(task_titles(), tasks), strict=True)), metric, methods, read(views.snapshot).id
    )
    with st.container(horizontal=True):
        for label, (suffix, mime, content) in files.items():
            st.download_button(label, content, file_name=f"matrix-{metric}.{suffix}", mime=mime, on_click="ignore",
                               type="tertiary", icon=":material/download:")  # fmt: skip


if __name__ == "__main__":
    page()
