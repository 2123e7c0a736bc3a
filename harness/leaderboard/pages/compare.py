"""Page: two or more methods or runs on one task, query by query, down to the two ranked lists of one query."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st

from harness.errors import UserError
from harness.leaderboard import charts, curves, ranked, url
from harness.leaderboard.charts import Colors
from harness.leaderboard.frame import link, name_window
from harness.leaderboard.state import read, task_title, task_titles
from harness.statistics.basics import spread
from harness.store import Store, views
from harness.store.compare import Contestant, MethodComparison, compare, contestant
from harness.store.run_files import History
from harness.store.views import LeaderRow
from harness.tables import addresses
from harness.tables.formats import escape_markdown, prose
from harness.tables.table import unique_titles
from harness.tables.text import flat, signed, unsigned_zero, value_text
from harness.tables.verdicts import HOLM, METHOD, WINS, probability, remarks, sentence
from harness.tables.words import is_bound

SIDE = 340
"""Pixels of the scatter's sides: equal, so that its diagonal is one, and narrow enough for a phone."""
DRAWN = 4000
NOISE = ("name", "init.seed_offsets")
"""Parameters that differ between any two methods and say nothing."""


def page() -> None:
    """Draw the page."""
    st.title("Compare")
    tasks = [task.name for task in read(views.tasks) if task.reproduced]
    if not tasks:
        st.info("There is nothing to compare yet: run `make`, then compare two methods on one task.")
        return
    url.check(addresses.Compare)
    left, right = st.columns([1, 3])
    with left:
        task = url.select("Task", tasks, "task", show=task_titles())
    rows = [row for row in read(views.leaderboard, task) if row.scores]
    titles = unique_titles(rows)
    for row in rows:
        name = titles[row.method]
        titles |= {f"{row.method}__{row.task}__s{seed}": f"{name}, seed {seed}" for seed in row.seeds}
    seeds = {row.method: f" ({len(row.seeds)} seeds)" for row in rows if len(row.seeds) > 1}
    with right:
        names = url.several(
            "Methods or runs, the reference first", list(titles), "of", _default(rows),
            show=lambda name: titles[name] + seeds.get(name, ""),
        )  # fmt: skip
    if len(names) < 2:
        st.info("Choose at least two methods or runs: the first is the reference.")
        return
    name_window(f"{' vs '.join(titles[name] for name in names[:3])} · {task_title(task)}")
    chosen, results, reason = read(_compared, task, tuple(names))
    if reason:
        st.error(prose(reason))
        return
    known = [method.name for method in read(views.methods)]
    colors = charts.colors([titles[c.name] for c in chosen], [c.name for c in chosen], known)
    _differences(results, titles)
    st.markdown("[Query by query](#query-by-query) · [Curves](#curves) · [What differs](#what-differs-in-their-specs)")
    published = [key for c in chosen for key in c.keys if (run := read(views.run, key)) is not None and run.published]
    if published:
        st.caption(
            f"{len(published)} of these runs are published figures, not computed on this machine: "
            "their AP per query is rounded to 0.001 points."
        )
    _per_query(chosen, titles, task, colors)
    st.subheader("Curves", anchor="curves")
    curves.show({titles[c.name]: _histories(c) for c in chosen}, "compare", colors)
    _specs(chosen, titles)


def _default(rows: Sequence[LeaderRow]) -> list[str]:
    """The best method against its closest rival in the same setting: bounds and floors are nobody's question."""
    rivals = [row for row in rows if not is_bound(row.setting, row.role)]
    same = [row.method for row in rivals if row.setting == rivals[0].setting]
    own = [row.method for row in rivals if row.setting == rivals[0].setting and row.role == "method"]
    for names in (own, same, [row.method for row in rows]):
        if len(names) >= 2:
            return names[:2]
    return [row.method for row in rows]


def _compared(store: Store, task: str, names: tuple[str, ...]) -> tuple[list[Contestant], list[MethodComparison], str]:
    try:
        chosen = [contestant(store, task, name) for name in names]
        return chosen, compare(chosen[0], chosen[1:]), ""
    except UserError as error:
        return [], [], str(error)


def _histories(who: Contestant) -> list[History]:
    return [detail.history for key in who.keys if (detail := read(views.run_detail, key)) is not None]


def _differences(comparisons: Sequence[MethodComparison], titles: dict[str, str]) -> None:
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


def _parts(found: MethodComparison) -> str:
    """What each source of chance adds to the standard error."""
    result = found.result
    seeds = f"seeds {result.seed_std_a:.2f} and {result.seed_std_b:.2f}, " if result.about_methods else ""
    return (
        f"Here the standard error is made of: {seeds}identities {result.identity_std:.2f} points (df {result.df:.1f})."
    )


def _per_query(chosen: Sequence[Contestant], titles: dict[str, str], task: str, colors: Colors) -> None:
    st.subheader("Query by query", anchor="query-by-query")
    reference = chosen[0]
    other, others = chosen[1], chosen[1:]
    if len(others) > 1:
        name = url.select("Against the reference", [c.name for c in others], "against", show=titles.__getitem__)
        other = next(c for c in chosen if c.name == name)
    index = np.flatnonzero(~np.isnan(reference.per_query))
    a, b = reference.per_query[index], other.per_query[index]
    data = pd.DataFrame({"query": index, "a": 100 * a, "b": 100 * b, "difference": unsigned_zero(100 * (b - a))})
    lists = ranked.listed()
    sides = [(who, next((key for key in who.keys if key in lists), None)) for who in (reference, other)]
    key = next((key for _, key in sides if key), None)
    paths = {query.index: query.path for query in ranked.queries(key)[0]} if key else {}
    if paths:
        data["image"] = [paths.get(int(i), "") for i in index]
    st.caption("Choose a dot or a row: the query's ranked lists open below.")
    state = f"{task}:{reference.name}:{other.name}"
    asked = url.chosen("query")
    left, right = st.columns([4, 5])
    with left:
        charts.show(
            _scatter(data, titles[reference.name], titles[other.name], colors, asked),
            "scatter",
            "AP of every query",
            "colored by who is better",
            width="content",
            on_select=_dot,
            selection_mode="dot",
        )
        if len(data) > DRAWN:
            st.caption(f"{DRAWN:,} of the queries are drawn, every n-th.")
    with right:
        _wins(data, titles[reference.name], titles[other.name], state)
    _lists(asked, data, sides, titles, task)


def _dot() -> None:
    dots = st.session_state["chart:scatter"].selection.get("dot", [])
    if dots:
        url.state("query", str(int(dots[0]["query"])))


def _wins(data: pd.DataFrame, reference: str, other: str, state: str) -> None:
    """The queries on which each wins most; a row opens its query."""
    for title, ascending in ((f"{other} wins most", False), (f"{reference} wins most", True)):
        st.markdown(f"**{escape_markdown(title)}**")
        top = data.sort_values("difference", ascending=ascending).head(20)
        top = top[top["difference"] < 0] if ascending else top[top["difference"] > 0]
        if top.empty:
            st.caption("on no query")
            continue
        key = f"wins:{state}:{ascending}"

        def row(key: str = key, queries: tuple[int, ...] = tuple(top["query"])) -> None:
            selection = st.session_state[key].selection
            rows = [row for row, _ in selection.cells] or selection.rows
            if rows:
                url.state("query", str(queries[rows[0]]))

        st.dataframe(
            top[[name for name in ("query", "image", "a", "b", "difference") if name in top]],
            hide_index=True,
            height=180,
            on_select=row,
            selection_mode=["single-row", "single-cell"],
            key=key,
            column_config={
                "a": st.column_config.NumberColumn(reference, format="%.1f", help="AP of this query, percent"),
                "b": st.column_config.NumberColumn(other, format="%.1f", help="AP of this query, percent"),
                "difference": st.column_config.NumberColumn("Δ", format="%+.1f"),
            },
            alt=title,
        )


def _lists(
    asked: str, data: pd.DataFrame, sides: Sequence[tuple[Contestant, str | None]], titles: dict[str, str], task: str
) -> None:
    """The chosen query's ranked lists, of the first seed of each side that has them."""
    if not asked:
        return
    if asked not in set(map(str, data["query"])):
        st.warning(f"The address asks for query “{escape_markdown(asked[:40])}”, which is not among these.")
        return
    st.subheader(f"Query {asked}")
    keys = [key for _, key in sides if key]
    if not keys:
        lacking = sides[0][0].keys[0]
        st.info(
            f"No run of either has its ranked lists on this machine: `harness run {lacking}` computes one with lists.",
            icon=":material/cloud_off:",
        )
        return
    found = {query.index: query for query in ranked.queries(keys[0])[0]}
    for who, key in sides:
        run = read(views.run, key) if key else None
        if run is None or int(asked) not in found:
            st.caption(f"{escape_markdown(titles[who.name])}: no run with ranked lists on this machine.")
            continue
        seed = "" if "__" in who.name else f", seed {run.seed}"
        ranked.show(run, f"{titles[who.name]}{seed}", found[int(asked)], explained=False)
    link(addresses.Queries(task=task, run=keys[0], beside=keys[1] if len(keys) > 1 else "", query=asked),
         "Browse from here on in Queries")  # fmt: skip


def _scatter(data: pd.DataFrame, reference: str, other: str, colors: Colors, asked: str) -> alt.LayerChart:
    drawn = data.iloc[:: max(1, -(-len(data) // DRAWN))]
    drawn = drawn.assign(
        better=np.select([drawn["difference"] > 0, drawn["difference"] < 0], [other, reference], "tie")
    )
    shade = dict(zip(colors.domain, colors.range, strict=True))
    scale = alt.Scale(domain=[reference, other, "tie"], range=[shade[reference], shade[other], "#8a8f98"])
    line = alt.Chart(pd.DataFrame({"a": [0, 100], "b": [0, 100]})).mark_line(color="gray", strokeDash=[4, 4])
    dot = alt.selection_point(name="dot", fields=["query"], on="click", nearest=False)
    dots = (
        alt.Chart(drawn)
        .mark_circle(size=40, opacity=0.8)
        .encode(
            color=alt.Color("better:N", title=None, scale=scale, legend=alt.Legend(columns=1)),
            tooltip=[name for name in ("query", "image") if name in drawn]
            + [alt.Tooltip("a:Q", format=".1f", title=reference), alt.Tooltip("b:Q", format=".1f", title=other),
               alt.Tooltip("difference:Q", format="+.1f", title="Δ")],
        )
        .add_params(dot)
    )  # fmt: skip
    ring = alt.Chart(drawn[drawn["query"].astype(str) == asked]).mark_point(size=180, color="gray", strokeWidth=2)
    x = alt.X("a:Q", title=f"AP of {reference} (%)", scale=alt.Scale(domain=[0, 100]))
    y = alt.Y("b:Q", title=f"AP of {other} (%)", scale=alt.Scale(domain=[0, 100]))
    layers = [line, dots, *([ring] if asked in set(drawn["query"].astype(str)) else [])]
    layers = [layer.encode(x=x, y=y) for layer in layers]
    return alt.LayerChart(layer=layers).properties(width=SIDE, height=SIDE)


def _specs(chosen: Sequence[Contestant], titles: dict[str, str]) -> None:
    st.subheader("What differs in their specs", anchor="what-differs-in-their-specs")
    details = {c.name: read(views.run_detail, c.keys[0]) for c in chosen}
    specs = {name: flat(detail.record["spec"]) for name, detail in details.items() if detail is not None}
    keys = list(dict.fromkeys(key for spec in specs.values() for key in spec if key not in NOISE))
    differing = [key for key in keys if len({value_text(spec.get(key)) for spec in specs.values()}) > 1]
    if not differing:
        st.info("Their specs are the same; only the seed or the data differs.")
        return
    rows = [
        {"parameter": key, **{titles[n]: value_text(spec[key]) if key in spec else "" for n, spec in specs.items()}}
        for key in differing
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, height="content", width="content", alt="Parameters that differ")


if __name__ == "__main__":
    page()
