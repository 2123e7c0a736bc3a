"""Page: two or more methods or runs on one task, query by query."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st

from harness.errors import UserError
from harness.evaluation.statistics import spread
from harness.leaderboard import charts, curves, url
from harness.leaderboard.frame import link
from harness.leaderboard.state import project, read
from harness.store import Store, views
from harness.store.compare import Comparison, Contestant, compare, contestant
from harness.store.run_files import read_queries
from harness.tables.formats import escape_markdown, prose
from harness.tables.text import flat, signed, task_title, unsigned_zero, value_text
from harness.tables.verdicts import HOLM, METHOD, WINS, probability, remarks, sentence


def page() -> None:
    """Draw the page."""
    st.title("Compare")
    tasks = [task.name for task in read(views.tasks) if task.reproduced]
    if not tasks:
        st.info("There is nothing to compare yet: run `make`, then compare two methods on one task.")
        return
    left, right = st.columns([1, 3])
    with left:
        task = url.select("Task", tasks, "task", show=task_title)
    rows = [row for row in read(views.leaderboard, task) if row.scores]
    titles = {row.method: row.title for row in rows}
    for row in rows:
        titles |= {f"{row.method}__{row.task}__s{seed}": f"{row.title}, seed {seed}" for seed in row.seeds}
    seeds = {row.method: f" ({len(row.seeds)} seeds)" for row in rows if len(row.seeds) > 1}
    with right:
        names = url.several(
            "Methods or runs, the reference first", list(titles), "of", [row.method for row in rows[:2]],
            show=lambda name: titles[name] + seeds.get(name, ""),
        )  # fmt: skip
    if len(names) < 2:
        st.info("Choose at least two methods or runs: the first is the reference.")
        return
    chosen, results, reason = read(_compared, task, tuple(names))
    if reason:
        st.error(prose(reason))
        return
    _differences(results, titles)
    published = [key for c in chosen for key in c.keys if (run := read(views.run, key)) is not None and run.published]
    if published:
        st.info(
            f"{len(published)} of these runs are published figures, not computed on this machine: "
            "AP per query is rounded to 0.001 points, and there are no ranked lists.",
            icon=":material/cloud_done:",
        )
    _per_query(chosen, titles, task)
    st.subheader("Curves")
    curves.show(
        {titles[c.name]: d.history for c in chosen if (d := read(views.run_detail, c.keys[0])) is not None}, "compare"
    )
    _specs(chosen, titles)


def _compared(store: Store, task: str, names: tuple[str, ...]) -> tuple[list[Contestant], list[Comparison], str]:
    try:
        chosen = [contestant(store, task, name) for name in names]
        return chosen, compare(chosen[0], chosen[1:]), ""
    except UserError as error:
        return [], [], str(error)


def _differences(comparisons: Sequence[Comparison], titles: dict[str, str]) -> None:
    verdicts = sum(found.verdict is not None for found in comparisons)
    tested = f"p-value, Holm over {verdicts}" if verdicts > 1 else "p-value"
    for found in comparisons:
        result, other, reference = found.result, titles[found.other.name], titles[found.reference.name]
        st.markdown(f"**{escape_markdown(sentence(found, other, reference))}**")
        with st.container(horizontal=True):
            for side, title in ((found.other, other), (found.reference, reference)):
                over = spread(side.maps.tolist())
                around = f" ± {over.std:.1f}" if over.n > 1 else ""
                seeds = f"mean and standard deviation over {over.n} seeds" if over.n > 1 else "one seed"
                st.metric(escape_markdown(title), f"{over.mean:.1f}{around}", border=True, help=f"mAP, {seeds}")
            st.metric("Δ mAP", signed(result.difference), border=True, help=f"{METHOD} {_parts(found)}")
            st.metric("95 % interval", f"{signed(result.low)} … {signed(result.high)}", border=True, help=METHOD)
            if found.verdict is not None:
                st.metric(tested, probability(found.corrected), border=True, help=f"{METHOD} {HOLM}")
            st.metric("wins · ties · losses", f"{found.wins} · {found.ties} · {found.losses}", border=True, help=WINS)
        for line in remarks(found):
            st.caption(escape_markdown(line))


def _parts(found: Comparison) -> str:
    """What each source of chance adds to the standard error."""
    result = found.result
    seeds = f"seeds {result.seed_std_a:.2f} and {result.seed_std_b:.2f}, " if result.about_methods else ""
    return (
        f"Here the standard error is made of: {seeds}identities {result.identity_std:.2f} points (df {result.df:.1f})."
    )


def _per_query(chosen: Sequence[Contestant], titles: dict[str, str], task: str) -> None:
    st.subheader("Query by query")
    reference = chosen[0]
    other, others = chosen[1], chosen[1:]
    if len(others) > 1:
        name = url.select("Against the reference", [c.name for c in others], "against", show=titles.__getitem__)
        other = next(c for c in chosen if c.name == name)
    index = np.flatnonzero(~np.isnan(reference.per_query))
    a, b = reference.per_query[index], other.per_query[index]
    data = pd.DataFrame({"query": index, "a": 100 * a, "b": 100 * b, "difference": unsigned_zero(100 * (b - a))})
    paths = read(query_paths, reference.keys[0])
    data["path"] = [paths[i] for i in index] if paths else ""
    left, right = st.columns(2)
    with left:
        charts.show(
            _scatter(data, titles[reference.name], titles[other.name]),
            "scatter",
            "AP of every query",
            "coloured by who is better",
        )
        if len(data) > 4000:
            st.caption("4,000 of the queries are drawn, every n-th.")
    with right:
        for title, ascending in (
            (f"{titles[other.name]} wins most", False),
            (f"{titles[reference.name]} wins most", True),
        ):
            st.markdown(f"**{escape_markdown(title)}**")
            top = data.sort_values("difference", ascending=ascending).head(20)
            top = top[top["difference"] < 0] if ascending else top[top["difference"] > 0]
            if top.empty:
                st.caption("on no query")
                continue
            st.dataframe(
                top[["query", "path", "a", "b", "difference"]],
                hide_index=True,
                height=180,
                column_config={
                    "a": st.column_config.NumberColumn("AP reference", format="%.1f"),
                    "b": st.column_config.NumberColumn("AP other", format="%.1f"),
                    "difference": st.column_config.NumberColumn("Δ", format="%+.1f"),
                },
                alt=title,
            )
    link("queries", "See these queries side by side", task=task, run=reference.keys[0], beside=other.keys[0])


def query_paths(_store: Store, key: str) -> list[str]:
    """Return the image paths of a run's queries, or nothing if its files are not on this machine."""
    try:
        return [query.path for query in read_queries(project(), key)]
    except UserError:
        return []


def _scatter(data: pd.DataFrame, reference: str, other: str) -> alt.LayerChart:
    drawn = data.iloc[:: max(1, -(-len(data) // 4000))]
    drawn = drawn.assign(better=np.where(drawn["difference"] > 0, other, reference))
    line = alt.Chart(pd.DataFrame({"a": [0, 100], "b": [0, 100]})).mark_line(color="gray", strokeDash=[4, 4])
    dots = (
        alt.Chart(drawn)
        .mark_circle(size=36, opacity=0.55)
        .encode(
            color=alt.Color("better:N", title=None, scale=alt.Scale(domain=[reference, other])),
            tooltip=["query", "path", *(alt.Tooltip(f"{c}:Q", format=".1f") for c in ("a", "b", "difference"))],
        )
    )
    x = alt.X("a:Q", title=f"AP of {reference} (%)", scale=alt.Scale(domain=[0, 100]))
    y = alt.Y("b:Q", title=f"AP of {other} (%)", scale=alt.Scale(domain=[0, 100]))
    return alt.LayerChart(layer=[line.encode(x=x, y=y), dots.encode(x=x, y=y)]).properties(height=430)


def _specs(chosen: Sequence[Contestant], titles: dict[str, str]) -> None:
    st.subheader("What differs in their specs")
    details = {c.name: read(views.run_detail, c.keys[0]) for c in chosen}
    specs = {name: flat(detail.record["spec"]) for name, detail in details.items() if detail is not None}
    keys = list(dict.fromkeys(key for spec in specs.values() for key in spec))
    differing = [key for key in keys if len({value_text(spec.get(key)) for spec in specs.values()}) > 1]
    if not differing:
        st.info("Their specs are the same; only the seed or the data differs.")
        return
    rows = [
        {"parameter": key, **{titles[n]: value_text(spec[key]) if key in spec else "" for n, spec in specs.items()}}
        for key in differing
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, height="content", alt="Parameters that differ")


if __name__ == "__main__":
    page()
