"""Charts: Altair, in the theme's colours, axes that start where the data does."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd
import streamlit as st

from harness.leaderboard import saving
from harness.leaderboard.columns import METRICS, SETTINGS
from harness.leaderboard.formats import escape_markdown
from harness.store.queries import LeaderRow

HEIGHT = 340


def show(chart: saving.Chart, name: str, title: str, note: str = "") -> None:
    """Draw a chart below its title and a menu that saves it."""
    chart = chart.configure_axis(titlePadding=8, labelPadding=6, labelFlush=False)
    chart = chart.configure_legend(orient="top", padding=0, offset=8, labelLimit=260, titlePadding=0)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{escape_markdown(title)}**" + (f" :gray[{escape_markdown(note)}]" if note else ""))
        saving.menu(chart, name)
    st.altair_chart(chart, key=f"chart:{name}", alt=title)


def pareto_points(rows: Sequence[LeaderRow], metric: str, cost: str) -> pd.DataFrame:
    """Return one row per method with a score and a cost; `best`: no other is both cheaper and better."""
    points = [
        {"method": row.title, "setting": SETTINGS[row.setting], "cost": getattr(row, cost), "score": row.score(metric)}
        for row in rows
        if row.score(metric) is not None and getattr(row, cost)
    ]
    frame = pd.DataFrame(points, columns=["method", "setting", "cost", "score"]).sort_values(
        ["cost", "score"], ascending=[True, False]
    )
    frame["best"] = frame["score"] > frame["score"].cummax().shift(fill_value=-1)
    frame["turn"] = (frame["best"].cumsum() + 1) % 2
    return frame


def pareto(points: pd.DataFrame, metric: str, cost_title: str) -> alt.LayerChart:
    """Score against cost (logarithmic: from seconds to days), the front of what is worth its cost drawn through."""
    x = alt.X(
        "cost:Q",
        title=cost_title,
        scale=alt.Scale(type="log", nice=False, padding=70),
        axis=alt.Axis(grid=False, format="~g"),
    )
    y = alt.Y("score:Q", title=f"{METRICS[metric]} (%)", scale=alt.Scale(zero=False, nice=False, padding=24))
    base = alt.Chart(points)
    front = (
        base.transform_filter("datum.best")
        .mark_line(interpolate="step-after", strokeDash=[4, 4], opacity=0.6, color="gray")
        .encode(x=x, y=y)
    )
    dots = base.mark_circle(size=110, opacity=0.95).encode(
        x=x,
        y=y,
        color=alt.Color("setting:N", title=None, scale=alt.Scale(domain=list(SETTINGS.values()))),
        tooltip=[
            "method",
            "setting",
            alt.Tooltip("score:Q", format=".1f"),
            alt.Tooltip("cost:Q", title=cost_title, format=".2~g"),
        ],
    )
    names = [  # by turns above and below, so that neighbours do not cover each other
        base.transform_filter(f"datum.best && datum.turn == {turn}")
        .mark_text(align="left", dx=9, dy=dy, fontSize=12, color="gray")
        .encode(x=x, y=y, text="method:N")
        for turn, dy in ((0, -9), (1, 11))
    ]
    return alt.LayerChart(layer=[front, dots, *names]).properties(height=HEIGHT)
