"""Charts: Altair, in the theme's colours, axes that start where the data does."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd
import streamlit as st

from harness.leaderboard.columns import METRICS, SETTINGS
from harness.leaderboard.style import SETTING_COLOURS
from harness.store.queries import LeaderRow

HEIGHT = 340


def show(chart: alt.Chart | alt.LayerChart, name: str, description: str) -> None:
    """Draw a chart; its menu saves it as PNG, SVG or Vega-Lite."""
    st.altair_chart(chart, key=f"chart:{name}", alt=description)


def pareto_points(rows: Sequence[LeaderRow], metric: str, cost: str) -> pd.DataFrame:
    """Return one row per method with a score and a cost; `best`: no other is both cheaper and better."""
    points = [
        {"method": row.title, "setting": SETTINGS[row.setting], "cost": getattr(row, cost), "score": row.score(metric)}
        for row in rows
        if row.score(metric) is not None and getattr(row, cost) is not None
    ]
    frame = pd.DataFrame(points, columns=["method", "setting", "cost", "score"]).sort_values(
        ["cost", "score"], ascending=[True, False]
    )
    frame["best"] = frame["score"] > frame["score"].cummax().shift(fill_value=-1)
    return frame


def pareto(points: pd.DataFrame, metric: str, cost_title: str) -> alt.LayerChart:
    """Score against cost, the front of what is worth its cost drawn through."""
    settings = list(SETTINGS)
    x = alt.X("cost:Q", title=cost_title, scale=alt.Scale(zero=False, padding=60), axis=alt.Axis(tickCount=8))
    y = alt.Y("score:Q", title=f"{METRICS[metric]} (%)", scale=alt.Scale(zero=False, padding=18))
    base = alt.Chart(points)
    front = (
        base.transform_filter("datum.best")
        .mark_line(interpolate="step-after", strokeDash=[4, 4], opacity=0.6, color="gray")
        .encode(x=x, y=y)
    )
    dots = base.mark_circle(size=110, opacity=0.95).encode(
        x=x,
        y=y,
        color=alt.Color(
            "setting:N",
            title=None,
            scale=alt.Scale(
                domain=[SETTINGS[name] for name in settings], range=[SETTING_COLOURS[name] for name in settings]
            ),
            legend=alt.Legend(orient="top"),
        ),
        tooltip=["method", "setting", alt.Tooltip("score:Q", format=".1f"), alt.Tooltip("cost:Q", format=".3f")],
    )
    names = (
        base.transform_filter("datum.best")
        .mark_text(align="left", dx=9, dy=-8, fontSize=12, color="gray")
        .encode(x=x, y=y, text="method:N")
    )
    return alt.LayerChart(layer=[front, dots, names]).properties(height=HEIGHT)
