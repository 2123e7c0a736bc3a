"""Charts as files for papers: SVG, PNG and Vega-Lite, made on this machine without a browser or another host."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import altair as alt
import streamlit as st

from harness.leaderboard.style import PALETTE

Chart = alt.Chart | alt.LayerChart
PAPER = {
    "background": "white",
    "font": "sans-serif",
    "range": {"category": PALETTE},
    "view": {"stroke": "transparent", "continuousWidth": 560, "discreteWidth": {"step": 96}},
    "axis": {"gridColor": "#e3e7ec", "domainColor": "#8a929c", "tickColor": "#8a929c", "titleFontWeight": "normal"},
}
PNG_SCALE = 3


def menu(chart: Chart, name: str) -> None:
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
