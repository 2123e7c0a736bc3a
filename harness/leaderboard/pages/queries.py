"""Page: the queries of a run, worst first, and what it found for each; beside another run, if wanted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from harness.data import Split
from harness.errors import UserError
from harness.leaderboard import images, url
from harness.leaderboard.images import Picture
from harness.leaderboard.state import project, read
from harness.store import Store, views
from harness.store.run_files import Query, Ranked, read_queries, read_ranked
from harness.store.tables import Run
from harness.tables.formats import escape_markdown, prose
from harness.tables.style import JUNK, RIGHT, WRONG
from harness.tables.text import task_title, unsigned_zero

NOBODY = "none"


def page() -> None:
    """Draw the page."""
    st.title("Queries")
    tasks = [task.name for task in read(views.tasks) if task.reproduced]
    if not tasks:
        st.info("There is no run to look into yet: run `make`.")
        return
    left, middle, right = st.columns([2, 3, 3])
    with left:
        task = url.select("Task", tasks, "task", show=task_title)
    target = read(views.task, task).target
    runs = {run.key: run for name in dict.fromkeys((task, target)) for run in read(views.runs, name)}
    titles = {method.name: method.title for method in read(views.methods)}
    names = {key: f"{titles.get(run.method, run.method)}, seed {run.seed}" for key, run in runs.items()}
    with middle:
        key = url.select("Run", list(runs), "run", show=names.__getitem__)
    with right:
        others = [NOBODY, *(other for other in runs if other != key)]
        beside = url.select("Beside it", others, "beside", NOBODY, show=lambda key: names.get(key, "no other run"))
    found, reason = read(_queries, key)
    if reason:
        st.info(prose(reason), icon=":material/cloud_off:")
        return
    order = sorted(found, key=lambda query: (query.ap is None, query.ap if query.ap is not None else 0.0, query.index))
    chosen = _choose(order, beside)
    st.caption("By rank. ✓ in green: the same identity; ✗ in vermilion: another one; grey: the query, and junk.")
    _show(runs[key], names[key], chosen)
    if beside != NOBODY:
        _show(runs[beside], names[beside], chosen)


def _queries(_store: Store, key: str) -> tuple[list[Query], str]:
    try:
        return read_queries(project(), key), ""
    except UserError as error:
        return [], str(error)


def _choose(order: list[Query], beside: str) -> Query:
    """The list of queries, worst first; the chosen one is in the address."""
    other = read(views.ap, beside) if beside != NOBODY else None
    position = {str(query.index): place for place, query in enumerate(order)}
    frame = pd.DataFrame(
        {
            "query": [query.index for query in order],
            "AP": [100 * query.ap if query.ap is not None else None for query in order],
            "first hit": [query.first_hit for query in order],
            "camera": [query.camera for query in order],
            "identity": [query.identity for query in order],
            "image": [query.path for query in order],
        }
    )
    if other is not None and other.size == len(order):
        frame.insert(2, "AP beside", [100 * float(other[query.index]) for query in order])
        frame.insert(3, "Δ", unsigned_zero((frame["AP beside"] - frame["AP"]).to_numpy()))
    wanted = st.query_params.get("query")
    if wanted is not None and wanted not in position:
        st.warning(f"The address asks for query “{escape_markdown(wanted[:40])}”, which this run does not have.")
    start = position.get(wanted or "", 0)
    event = st.dataframe(
        frame,
        hide_index=True,
        height=250,
        on_select="rerun",
        selection_mode="single-row",
        selection_default={"selection": {"rows": [start], "columns": [], "cells": []}},
        key=f"queries:{len(order)}:{beside}:{order[0].index}",
        placeholder="no match",
        column_config={
            "AP": st.column_config.NumberColumn(format="%.1f", help="average precision of this query, percent"),
            "AP beside": st.column_config.NumberColumn(format="%.1f"),
            "Δ": st.column_config.NumberColumn(format="%+.1f"),
        },
        alt="Queries, worst first",
    )
    rows = event.selection.rows
    query = order[rows[0] if rows and rows[0] < len(order) else start]
    st.query_params["query"] = str(query.index)
    return query


def _show(run: Run, name: str, query: Query) -> None:
    ap = float(read(views.ap, run.key)[query.index])
    score = "no match in the gallery" if np.isnan(ap) else f"AP {100 * ap:.1f}"
    st.markdown(f"**{escape_markdown(name)}** · query {query.index} · {score}")
    try:
        dataset = read(views.dataset, run.target)
        probes, data = images.split(dataset, "query")
        gallery, _ = images.split(dataset, "gallery")
        ranked = read_ranked(project(), run.key, query.index)
    except UserError as error:
        st.info(prose(str(error)), icon=":material/image_not_supported:")
        return
    if run.target_hash and run.target_hash != data:
        st.warning("The prepared images are of another version of the dataset than this run saw: they are not shown.")
        return
    images.strip([Picture(probes.images[query.index], f"query, cam {query.camera}"), *_ranking(gallery, ranked)])
    junk = _junk(gallery, query)
    if junk.size:
        with st.expander(f"{junk.size} junk images of the same identity and camera were removed before scoring"):
            images.strip([Picture(gallery.images[i], f"✕ cam {gallery.cameras[i]}", JUNK) for i in junk[:12]])


def _ranking(gallery: Split, ranked: Ranked) -> list[Picture]:
    return [
        Picture(
            gallery.images[index],
            f"{place} {'✓' if right else '✗'} cam {gallery.cameras[index]}",
            RIGHT if right else WRONG,
        )
        for place, (index, right) in enumerate(zip(ranked.gallery, ranked.correct, strict=True), start=1)
        if 0 <= index < len(gallery)
    ]


def _junk(gallery: Split, query: Query) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.flatnonzero((gallery.ids == query.identity) & (gallery.cameras == query.camera))


if __name__ == "__main__":
    page()
