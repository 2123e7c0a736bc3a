"""Charts: Altair, in the theme's colours, axes that start where the data does."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from harness.store.views import LeaderRow
from harness.tables.columns import METRICS
from harness.tables.formats import escape_markdown
from harness.tables.style import PALETTE
from harness.tables.words import SETTINGS

Chart = alt.Chart | alt.LayerChart
PAPER = {
    "background": "white",
    "font": "sans-serif",
    "range": {"category": PALETTE},
    "view": {"stroke": "transparent", "continuousWidth": 560, "discreteWidth": {"step": 96}},
    "axis": {"gridColor": "#e3e7ec", "domainColor": "#8a929c", "tickColor": "#8a929c", "titleFontWeight": "normal"},
}
PNG_SCALE = 3
HEIGHT = 340


def show(chart: Chart, name: str, title: str, note: str = "") -> None:
    """Draw a chart below its title and a menu that saves it."""
    chart = chart.configure_axis(titlePadding=8, labelPadding=6, labelFlush=False)
    chart = chart.configure_legend(orient="top", padding=0, offset=8, labelLimit=260, titlePadding=0)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{escape_markdown(title)}**" + (f" :gray[{escape_markdown(note)}]" if note else ""))
        save_menu(chart, name)
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


def save_menu(chart: Chart, name: str) -> None:
    """A menu that saves `chart` as `<name>.svg`, `.png` or `.vl.json`; each is made when it is asked for."""
    kinds: dict[str, tuple[str, str, Callable[[], str | bytes]]] = {
        "SVG": ("svg", "image/svg+xml", lambda: to_svg(chart)),
        "PNG": ("png", "image/png", lambda: to_png(chart)),
        "Vega-Lite": ("vl.json", "application/json", lambda: to_vega_lite(chart)),
    }
    with st.popover("Save", type="tertiary", icon=":material/download:", key=f"save:{name}"):
        for label, (suffix, mime, data) in kinds.items():
            st.download_button(
                label,
                data,
                file_name=f"{name}.{suffix}",
                mime=mime,
                key=f"save:{name}:{suffix}",
                on_click="ignore",
                type="tertiary",
            )


def to_svg(chart: Chart) -> str:
    """Return the chart as SVG on white, its text as text."""
    import vl_convert  # a JavaScript engine: loaded when a chart is saved

    return str(vl_convert.vegalite_to_svg(specification(chart), vl_version=_version()))


def to_png(chart: Chart) -> bytes:
    """Return the chart as PNG, three pixels for one."""
    import vl_convert

    return bytes(vl_convert.vegalite_to_png(specification(chart), vl_version=_version(), scale=PNG_SCALE))


def to_vega_lite(chart: Chart) -> str:
    """Return the chart as a Vega-Lite document that holds its data."""
    return json.dumps(specification(chart), indent=1)


def specification(chart: Chart) -> dict[str, Any]:
    """Return the chart as Vega-Lite in colours for paper, whole however many rows it has."""
    with alt.data_transformers.enable("default", max_rows=None):
        document: dict[str, Any] = chart.to_dict()
    return document | {"config": document.get("config", {}) | PAPER}


def _version() -> str:
    """Vega-Lite's version as Altair writes it, without the patch."""
    return str(alt.SCHEMA_VERSION).removeprefix("v").rsplit(".", 1)[0]
