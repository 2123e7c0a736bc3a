"""Training curves, of one run or of several over each other; the seeds of a method as their mean and a band."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import altair as alt
import pandas as pd
import streamlit as st

from harness.leaderboard import charts
from harness.leaderboard.charts import Colors
from harness.store.run_files import History

GROUPS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("Target mAP (%)", "last epoch is the headline", ("target_map",)),
    ("Loss", "the total and its parts", ("loss",)),
    ("Learning rate", "", ("learning_rate",)),
    ("Clusters", "", ("clusters",)),
    ("Outliers", "share of images without a pseudo-label", ("outliers",)),
    ("Seen without labels", "what may choose an epoch; camera bias: clusters that follow the camera",
     ("silhouette", "agreement", "camera_bias")),
    ("Label quality", "diagnostics from hidden identities: training never sees them", ("ari", "nmi", "purity")),
)  # fmt: skip
FEW = 3
"""Fewer values than this are drawn as points: a line would look like a trend."""


def frame(histories: Mapping[str, Sequence[History]], columns: tuple[str, ...]) -> pd.DataFrame:
    """Return columns in long form: name, curve, epoch, and the mean, lowest and highest value over the seeds.

    Of several names only the group's first column.
    """
    parts = []
    for name, seeds in histories.items():
        known = list(dict.fromkeys(column for history in seeds for column in history))
        wanted = [column for column in known if column in columns or (columns == ("loss",) and "loss_" in column)]
        for column in wanted[:1] if len(histories) > 1 else wanted:
            rows = [pd.DataFrame({"epoch": h["epoch"], "value": h[column]}) for h in seeds if column in h]
            part = pd.concat(rows).dropna().astype(float).groupby("epoch", as_index=False)["value"]
            parts.append(part.agg(["mean", "min", "max"]).assign(run=name, curve=_name(column)))
    if not parts:
        return pd.DataFrame(columns=["epoch", "value", "low", "high", "run", "curve"])
    return pd.concat(parts).rename(columns={"mean": "value", "min": "low", "max": "high"})


def _name(column: str) -> str:
    """What a column of `history.csv` is called in a legend."""
    known = {"loss": "total", "ari": "ARI", "nmi": "NMI"}
    return known.get(column, column.removeprefix("loss_").replace("_", " "))


def show(histories: Mapping[str, Sequence[History]], prefix: str, colors: Colors | None = None) -> None:
    """Draw every group of curves that has values, two beside each other; `colors` of several names."""
    several = len(histories) > 1
    seeds = max((len(found) for found in histories.values()), default=0)
    notes = ["of losses the total, of label quality the adjusted Rand index"] if several else []
    if seeds > 1:
        notes.append("the mean of the seeds, the band from the lowest to the highest")
    if notes:
        text = "; ".join(notes)
        st.caption(f"{text[0].upper()}{text[1:]}.")
    drawn = [
        (title, note, columns[0], data) for title, note, columns in GROUPS if len(data := frame(histories, columns))
    ]
    epochs = [epoch for found in histories.values() for history in found for epoch in history["epoch"] if epoch]
    if not drawn or max(epochs, default=0) < 2:
        st.info("There is no training curve: the result is computed in one step, or the first epoch is not over.")
        return
    for start in range(0, len(drawn), 2):
        for place, (title, note, name, data) in zip(st.columns(2), drawn[start : start + 2], strict=False):
            with place:
                chart = _lines(data, several, colors, (min(epochs), max(epochs)))
                charts.show(chart, f"{prefix}-{name}", title, "" if several else note)


def _lines(data: pd.DataFrame, several: bool, colors: Colors | None, epochs: tuple[float, float]) -> alt.LayerChart:
    curves = list(data["curve"].unique())
    field = "run" if several else "curve"
    if colors is None or not several:
        colors = charts.colors(curves)
    shown = list(colors.domain) if several else curves
    legend = (
        alt.Legend(symbolType="stroke", symbolOpacity=1, symbolSize=300, columns=charts.legend_columns(shown))
        if len(shown) > 1
        else None
    )
    color = alt.Color(f"{field}:N", title=None, scale=colors.scale(), legend=legend)
    x = alt.X("epoch:Q", title="epoch", axis=alt.Axis(tickMinStep=1, format="d"),
              scale=alt.Scale(domain=list(epochs), zero=False, nice=False, padding=8))  # fmt: skip
    y = alt.Y("value:Q", title=None, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=5))
    base = alt.Chart(data).encode(x=x, color=color)
    tooltip = ["run", "curve", "epoch", alt.Tooltip("value:Q", format=".4~g")]
    layers: list[alt.Chart] = []
    trend = data["epoch"].nunique() >= FEW
    if (data["high"] > data["low"]).any():
        band = base.mark_area(opacity=0.18) if trend else base.mark_rule(strokeWidth=2)
        layers.append(band.encode(y=alt.Y("low:Q", title=None, scale=alt.Scale(zero=False)), y2="high:Q"))
    if trend:
        dash = alt.StrokeDash(f"{field}:N", title=None, scale=colors.dashes(), legend=legend)
        point = alt.OverlayMarkDef(size=25) if data["epoch"].nunique() <= 20 else False
        layers.append(base.mark_line(strokeWidth=2, point=point).encode(y=y, strokeDash=dash, tooltip=tooltip))
    else:
        layers.append(base.mark_point(size=60, filled=True).encode(y=y, tooltip=tooltip))
    chart: alt.LayerChart = alt.LayerChart(layer=layers).properties(height=250)
    return chart
