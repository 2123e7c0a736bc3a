"""Charts: Altair, in the theme's colours, axes that start where the data does."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st

from harness.leaderboard.state import theme
from harness.store.views import LeaderRow
from harness.tables.columns import METRICS
from harness.tables.formats import escape_markdown
from harness.tables.style import DARK_PALETTE, DASHES, DIM, PALETTE, STRONG, places
from harness.tables.words import SETTINGS

Chart = alt.Chart | alt.LayerChart
PAPER = {
    "background": "white",
    "font": "sans-serif",
    "range": {"category": PALETTE},
    "view": {"stroke": "transparent", "continuousWidth": 560, "discreteWidth": {"step": 96}},
    "axis": {"gridColor": "#e3e7ec", "domainColor": "#8a929c", "tickColor": "#8a929c", "titleFontWeight": "normal"},
}
TILES, TILE_INK = {"better": ["#f2f7fc", "#6baed6"], "worse": ["#fff5eb", "#f0883e"]}, "#12171e"
"""From 0 to 100 percent: as dark as the figures on them can still be read."""
PNG_SCALE = 3
HEIGHT = 340


@dataclass(frozen=True)
class Colors:
    """A color and a line style for each name of `domain`."""

    domain: tuple[str, ...]
    range: tuple[str, ...]
    styles: tuple[tuple[int, ...], ...]

    def scale(self) -> alt.Scale:
        """The colors as Vega-Lite has them."""
        return alt.Scale(domain=list(self.domain), range=list(self.range))

    def dashes(self) -> alt.Scale:
        """The line styles as Vega-Lite has them."""
        return alt.Scale(domain=list(self.domain), range=[list(style) for style in self.styles])


def colors(titles: Sequence[str], names: Sequence[str] = (), everyone: Sequence[str] = ()) -> Colors:
    """Return a color for each title; with the `names` behind them a method keeps its own on every chart and page."""
    found = [*places(names or titles, everyone).values()]
    palette = DARK_PALETTE if theme() == "dark" else PALETTE
    return Colors(
        tuple(titles),
        tuple(palette[place % len(palette)] for place in found),
        tuple(tuple(DASHES[place % len(DASHES)]) for place in range(len(titles))),
    )


def legend_columns(names: Sequence[str]) -> int:
    """Return into how many columns a legend fits on a phone."""
    return 1 if max(map(len, names), default=0) > 16 else 2


def show(chart: Chart, name: str, title: str, note: str = "", **options: Any) -> None:
    """Draw a chart below its title and a menu that saves it; `options` go to `st.altair_chart`."""
    label = DIM[theme()]  # text on an axis needs the contrast of text
    drawn = chart.configure_axis(titlePadding=8, labelPadding=6, labelFlush=False, labelColor=label, titleColor=label)
    drawn = drawn.configure_legend(
        orient="top", padding=0, offset=8, labelLimit=260, titlePadding=0, columns=2, labelColor=label, symbolLimit=60
    )
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{escape_markdown(title)}**" + (f" :gray[{escape_markdown(note)}]" if note else ""))
        save_menu(chart, name)
    st.altair_chart(drawn, key=f"chart:{name}", alt=f"{title}. {note}" if note else title, **options)


def pareto_points(rows: Sequence[LeaderRow], metric: str, cost: str) -> pd.DataFrame:
    """Return one row per method with a score, a cost and where its name stands; `best`: none is cheaper and better."""
    points = [
        {"method": row.title, "setting": SETTINGS[row.setting], "cost": getattr(row, cost), "score": row.score(metric)}
        for row in rows
        if row.score(metric) is not None and getattr(row, cost)
    ]
    frame = pd.DataFrame(points, columns=["method", "setting", "cost", "score"]).sort_values(
        ["cost", "score"], ascending=[True, False]
    )
    frame["best"] = frame["score"] > frame["score"].cummax().shift(fill_value=-1)
    frame["side"] = _sides(frame)
    return frame


SIDES: dict[str, tuple[int, int, Literal["left", "center", "right"]]] = {
    "right": (9, 0, "left"),
    "above": (0, -13, "center"),
    "below": (0, 14, "center"),
    "left": (-9, 0, "right"),
}
"""Where a name may stand beside its dot: pixels to the right and down, and how the text is aligned."""
WIDTH, LETTER, LINE, ROOM = 900, 6.6, 14, 70


def _sides(frame: pd.DataFrame) -> list[str]:
    """The side of each dot on which its name covers no other name and no dot, the front's first; '' for none."""
    if frame.empty:
        return []
    cost, score = np.log10(frame["cost"].to_numpy(float)), frame["score"].to_numpy(float)
    x = ROOM + (cost - cost.min()) / max(float(np.ptp(cost)), 1e-9) * (WIDTH - 2 * ROOM)
    y = HEIGHT - 24 - (score - score.min()) / max(float(np.ptp(score)), 1e-9) * (HEIGHT - 48)
    taken = [(px - 6, py - 6, px + 6, py + 6) for px, py in zip(x, y, strict=True)]
    sides = [""] * len(frame)
    for i in sorted(range(len(frame)), key=lambda i: not frame["best"].iloc[i]):
        width = LETTER * len(frame["method"].iloc[i])
        sides_of = (
            ("above", "left", "below", "right") if frame["best"].iloc[i] else tuple(SIDES)
        )  # the front goes right
        for side in sides_of:
            dx, dy, align = SIDES[side]
            left = x[i] + dx - {"left": 0.0, "center": width / 2, "right": width}[align]
            box = (left, y[i] + dy - LINE / 2, left + width, y[i] + dy + LINE / 2)
            others = [other for n, other in enumerate(taken) if n != i]
            if left >= 0 and box[2] <= WIDTH and not any(_overlap(box, other) for other in others):
                taken.append(box)
                sides[i] = side
                break
    return sides


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def pareto(points: pd.DataFrame, metric: str, cost_title: str) -> alt.LayerChart:
    """Score against cost (logarithmic: from seconds to days), the front of what is worth its cost drawn through."""
    decades = np.arange(-6, 7)
    x = alt.X(
        "cost:Q",
        title=cost_title,
        scale=alt.Scale(type="log", nice=False, padding=ROOM),
        axis=alt.Axis(grid=False, format="~g", values=[float(v) for p in decades for v in (10.0**p, 3 * 10.0**p)]),
    )
    y = alt.Y("score:Q", title=f"{METRICS[metric]} (%)", scale=alt.Scale(zero=False, nice=False, padding=24))
    base = alt.Chart(points)
    front = (
        base.transform_filter("datum.best")
        .mark_line(interpolate="step-after", strokeDash=[4, 4], opacity=0.6, color="gray")
        .encode(x=x, y=y)
    )
    chosen = colors(list(SETTINGS.values()))
    dots = base.mark_circle(size=110, opacity=0.95).encode(
        x=x,
        y=y,
        color=alt.Color("setting:N", title=None, scale=chosen.scale()),
        tooltip=[
            "method",
            "setting",
            alt.Tooltip("score:Q", format=".1f"),
            alt.Tooltip("cost:Q", title=cost_title, format=".2~g"),
        ],
    )
    names = [
        base.transform_filter(f"datum.side == '{side}'")
        .mark_text(align=align, dx=dx, dy=dy, fontSize=12, color=STRONG[theme()])  # type: ignore[arg-type]
        .encode(x=x, y=y, text="method:N")
        for side, (dx, dy, align) in SIDES.items()
        if (points["side"] == side).any()
    ]
    return alt.LayerChart(layer=[front, dots, *names]).properties(height=HEIGHT)


def pair_map(data: pd.DataFrame, value: str, worse: bool) -> alt.LayerChart:
    """Query cameras × gallery cameras, colored by `value` in percent; `worse`: more is bad."""
    cameras = sorted({*data["query"], *data["gallery"]}, key=int)
    x = alt.X("gallery:N", title="gallery camera", sort=cameras, axis=alt.Axis(orient="top", labelAngle=0))
    y = alt.Y("query:N", title="query camera", sort=cameras)
    scale = alt.Scale(range=TILES["worse" if worse else "better"], domain=[0, 100])
    base = alt.Chart(data).encode(x=x, y=y, tooltip=["query", "gallery", alt.Tooltip(f"{value}:Q", format=".1f")])
    tiles = base.mark_rect().encode(color=alt.Color(f"{value}:Q", legend=None, scale=scale))
    figures = base.mark_text(fontSize=11, color=TILE_INK).encode(text=alt.Text(f"{value}:Q", format=".0f"))
    return alt.LayerChart(layer=[tiles, figures]).properties(height=34 * data["query"].nunique() + 40)


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
