"""Log-log line plots for the pages that benchmarks write."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd
import vl_convert

WIDTH, HEIGHT = 480, 320
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
"""Distinct for color-blind readers."""


def log_log_svg(lines: Sequence[tuple[str, Sequence[float], Sequence[float]]], x_name: str, y_name: str) -> str:
    """Return an SVG of (name, x values, y values) lines on logarithmic axes; all values must be positive."""
    rows = [{"line": name, "x": x, "y": y} for name, xs, ys in lines for x, y in zip(xs, ys, strict=True)]
    chart = (
        alt.Chart(pd.DataFrame(rows), width=WIDTH, height=HEIGHT, background="white")
        .mark_line(point=alt.OverlayMarkDef(size=40))
        .encode(
            x=alt.X("x:Q", title=x_name, scale=alt.Scale(type="log", nice=False), axis=alt.Axis(format=",")),
            y=alt.Y("y:Q", title=y_name, scale=alt.Scale(type="log")),
            color=alt.Color("line:N", title=None, sort=None, scale=alt.Scale(range=list(OKABE_ITO))),
        )
    )
    version = str(alt.SCHEMA_VERSION).removeprefix("v").rsplit(".", 1)[0]
    return str(vl_convert.vegalite_to_svg(chart.to_dict(), vl_version=version))
