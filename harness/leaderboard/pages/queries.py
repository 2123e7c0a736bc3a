"""Page: the queries of a run, worst first, and what it found for each; beside another run, if wanted."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from harness.errors import UserError
from harness.leaderboard import images, ranked, url
from harness.leaderboard.frame import link, name_window
from harness.leaderboard.state import project, read, task_title, task_titles
from harness.store import Store, views
from harness.store.lists import Query, camera_pairs, read_lists
from harness.store.models import Run
from harness.tables import addresses
from harness.tables.formats import escape_markdown, prose
from harness.tables.text import unsigned_zero

NOBODY, ANY = "none", "all"
FILTERS = {"rank1": "Rank-1 wrong", "none": "nothing right in the list"}


def page() -> None:
    """Draw the page."""
    st.title("Queries")
    tasks = [task.name for task in read(views.tasks) if task.reproduced]
    if not tasks:
        st.info("There is no run to look into yet: run `make`.")
        return
    url.check(addresses.Queries)
    lists = ranked.listed()
    everything = read(views.runs)
    left, middle, right = st.columns([2, 3, 3])
    with left:
        task = url.select("Task", tasks, "task", _default(tasks, everything, lists), show=task_titles())
    target = read(views.task, task).target
    runs = [run for run in everything if run.task in (task, target)]
    runs.sort(key=lambda run: (run.key not in lists, run.published, -run.started.timestamp()))
    keys = {run.key: run for run in runs}
    titles = {method.name: method.title for method in read(views.methods)}
    names = {run.key: f"{titles.get(run.method, run.method)}, seed {run.seed}" for run in runs}

    def named(key: str) -> str:
        return names[key] + ("" if key in lists else " (no lists)")

    with middle:
        key = url.select("Run", list(keys), "run", show=named)
    with right:
        others = [NOBODY, *(other for other in keys if other != key)]
        beside = url.select("Beside it", others, "beside", NOBODY,
                            show=lambda key: named(key) if key in names else "no other run")  # fmt: skip
    name_window(f"{names[key]} · {task_title(task)}")
    found, reason = ranked.queries(key)
    if reason:
        st.info(prose(reason), icon=":material/cloud_off:")
        if not lists:
            st.caption(
                "No run on this machine has ranked lists yet: the published results carry scores and AP per query. "
                "`make` computes the starter runs with their lists in a few minutes."
            )
        return
    order = sorted(found, key=lambda query: (query.ap is None, query.ap if query.ap is not None else 0.0, query.index))
    order = _filtered(order, keys[key])
    if not order:
        st.info("No query matches these filters.")
        return
    chosen = _choose(order, keys[key], beside)
    st.caption(ranked.LEGEND)
    ranked.show(keys[key], names[key], chosen)
    if beside != NOBODY:
        ranked.show(keys[beside], names[beside], chosen, explained=False)
    _camera_pairs(keys[key])
    with st.container(horizontal=True):
        link(addresses.Runs(run=key), "This run")
        if beside != NOBODY:
            link(addresses.Compare(task=task, of=(key, beside), query=str(chosen.index)), "Compare the two")


def _default(tasks: Sequence[str], runs: Sequence[Run], lists: frozenset[str]) -> str | None:
    """The task of the newest run computed here that has lists, else of any that has."""
    have = [run for run in runs if run.key in lists and run.task in tasks]
    return max(have, key=lambda run: (not run.published, run.started)).task if have else None


def _filtered(order: list[Query], run: Run) -> list[Query]:
    """The queries that the filters leave."""
    cameras = sorted({query.camera for query in order})
    identities = sorted({query.identity for query in order})
    with st.container(horizontal=True, vertical_alignment="bottom"):
        camera = url.select("Camera", [ANY, *map(str, cameras)], "camera", ANY, width=140)
        identity = url.select("Identity", [ANY, *map(str, identities)], "identity", ANY, width=140)
        only = url.several("Only", list(FILTERS), "only", show=FILTERS.__getitem__, pills=True, quiet=True)
        low, high = _similarities(order)
    top = 20
    kept = [
        query
        for query in order
        if camera in (ANY, str(query.camera))
        and identity in (ANY, str(query.identity))
        and ("rank1" not in only or query.first_hit not in (1, None))
        and ("none" not in only or (query.first_hit or 0) > top)
        and (query.similarity is None or low <= query.similarity <= high)
    ]
    st.caption(f"{len(kept)} of {len(order)} queries, worst first")
    return kept


def _similarities(order: Sequence[Query]) -> tuple[float, float]:
    """Bounds on the similarity of the first image: with a wrong one, a high value is a mistake made with confidence."""
    known = [query.similarity for query in order if query.similarity is not None]
    if not known:
        return -1.0, 1.0
    low, high = math.floor(20 * min(known)) / 20, math.ceil(20 * max(known)) / 20
    if low == high:
        return low, high
    return url.between("Similarity of the first image", low, high, "similarity", step=0.05, width=260)


def _choose(order: list[Query], run: Run, beside: str) -> Query:
    """The list of queries, worst first; the chosen one is in the address. Buttons and arrow keys go on and back."""
    position = {str(query.index): place for place, query in enumerate(order)}
    asks = url.wanted_now("query") != st.session_state.get("last:query")
    wanted = url.chosen("query")
    if wanted and wanted not in position and asks:
        st.warning(f"The address asks for query “{escape_markdown(wanted[:40])}”, which is not among these.")
    start = position.get(wanted, 0)
    state = f"queries:{run.key}:{beside}:{len(order)}:{order[0].index}"
    turn = st.session_state.setdefault(f"turn:{state}", 0)
    with st.container(horizontal=True, vertical_alignment="center"):
        for label, step, key, icon in (
            ("Previous", -1, "Left", ":material/chevron_left:"),
            ("Next", 1, "Right", ":material/chevron_right:"),
        ):
            place = start + step
            inside = 0 <= place < len(order)
            st.button(label, icon=icon, disabled=not inside, shortcut=key, key=f"{label}:{state}",
                      on_click=_go, args=(order[place].index if inside else 0, state))  # fmt: skip
        st.caption(f"query {start + 1} of {len(order)}")
    frame = _frame(order, beside)
    event = st.dataframe(
        frame,
        hide_index=True,
        height=250,
        on_select="rerun",
        selection_mode=["single-row", "single-cell"],
        selection_default={"selection": {"rows": [start], "columns": [], "cells": []}},
        key=f"{state}:{turn}",
        placeholder="no match",
        column_config={
            "AP": st.column_config.NumberColumn(format="%.1f", help="average precision of this query, percent"),
            "AP beside": st.column_config.NumberColumn(format="%.1f"),
            "Δ": st.column_config.NumberColumn(format="%+.1f"),
            "similarity": st.column_config.NumberColumn(format="%.2f", help="cosine similarity of the first image"),
        },
        alt="Queries, worst first",
    )
    cells = [row for row, _ in event.selection.cells]
    rows = cells or event.selection.rows  # a click anywhere on a row is meant, not only on its box
    query = order[rows[0] if rows and rows[0] < len(order) else start]
    url.state("query", str(query.index))
    if query.index != order[start].index:
        st.session_state[f"turn:{state}"] += 1
        url.rerun()
    return query


def _go(query: int, state: str) -> None:
    url.state("query", str(query))
    st.session_state[f"turn:{state}"] += 1


def _frame(order: list[Query], beside: str) -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "query": [query.index for query in order],
            "AP": [100 * query.ap if query.ap is not None else None for query in order],
            "first hit": [query.first_hit for query in order],
            "similarity": [query.similarity for query in order],
            "camera": [query.camera for query in order],
            "identity": [query.identity for query in order],
            "image": [query.path for query in order],
        }
    )
    if frame["similarity"].isna().all():
        frame = frame.drop(columns="similarity")
    other = read(views.ap, beside) if beside != NOBODY else None
    if other is not None and other.size > max(query.index for query in order):
        frame.insert(2, "AP beside", [100 * float(other[query.index]) for query in order])
        frame.insert(3, "Δ", unsigned_zero((frame["AP beside"] - frame["AP"]).to_numpy()))
    return frame


def pairs(_store: Store, key: str, target: str) -> tuple[pd.DataFrame, str]:
    """Return mAP and share of wrong images per query camera and gallery camera, or why there is none."""
    try:
        gallery, _ = images.split(read(views.dataset, target), "gallery")
        lists = read_lists(project(), key)
        found = camera_pairs(lists["camera"], gallery.cameras, lists)
    except UserError as error:
        return pd.DataFrame(), str(error)
    rows = [{"query": str(a), "gallery": str(b), "mAP": ap, "wrong": wrong} for (a, b), (ap, wrong) in found.items()]
    return pd.DataFrame(rows, columns=["query", "gallery", "mAP", "wrong"]), ""


def _camera_pairs(run: Run) -> None:
    frame, reason = read(pairs, run.key, run.target)
    if frame.empty or (frame["query"].nunique() < 2 and frame["gallery"].nunique() < 2):
        if reason:
            st.caption(prose(reason))
        return
    from harness.leaderboard import charts

    st.subheader("Camera pairs")
    left, right = st.columns(2)
    for place, column, title, note in (
        (left, "mAP", "mAP (%)", "for the right images of one gallery camera"),
        (right, "wrong", "Wrong images (%)", "of those in the top 20 that a camera took"),
    ):
        data = frame.dropna(subset=[column])
        if data.empty:
            continue
        with place:
            charts.show(charts.pair_map(data, column, column == "wrong"), f"cameras-{column}", title, note)
    with st.expander("As a table", icon=":material/table:"):
        table = frame.pivot_table(index="query", columns="gallery", values="mAP" if frame["mAP"].notna().any()
                                  else "wrong", sort=False)  # fmt: skip
        table.columns = [f"gallery cam {name}" for name in table.columns]
        table.index = [f"query cam {name}" for name in table.index]
        st.dataframe(table.round(1), alt="mAP per camera pair")


if __name__ == "__main__":
    page()
