"""Training curves, of one run or of several over each other."""

from __future__ import annotations

from collections.abc import Mapping

import altair as alt
import pandas as pd
import streamlit as st

from harness.leaderboard import charts
from harness.store.run_files import History

GROUPS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("Target mAP (%)", "last epoch is the headline", ("target_map",)),
    ("Loss", "the total and its parts", ("loss",)),
    ("Learning rate", "", ("learning_rate",)),
    ("Clusters", "", ("clusters",)),
    ("Outliers", "share of images without a pseudo-label", ("outliers",)),
    ("Label quality", "diagnostics from hidden identities: training never sees them", ("ari", "nmi", "purity")),
)


def frame(histories: Mapping[str, History], columns: tuple[str, ...]) -> pd.DataFrame:
    """Return columns in long form: run, curve, epoch, value; of several histories only the group's first column."""
    parts = []
    for name, history in histories.items():
        wanted = [column for column in history if column in columns or (columns == ("loss",) and "loss_" in column)]
        for column in wanted[:1] if len(histories) > 1 else wanted:
            part = pd.DataFrame({"epoch": history["epoch"], "value": history[column]}).dropna()
            parts.append(part.assign(run=name, curve=_name(column)))
    return pd.concat(parts) if parts else pd.DataFrame(columns=["epoch", "value", "run", "curve"])


def _name(column: str) -> str:
    """What a column of `history.csv` is called in a legend."""
    known = {"loss": "total", "ari": "ARI", "nmi": "NMI"}
    return known.get(column, column.removeprefix("loss_").replace("_", " "))


def show(histories: Mapping[str, History], prefix: str) -> None:
    """Draw every group of curves that has values, two beside each other."""
    several = len(histories) > 1
    if several:
        st.caption("The first seed of each; of losses the total, of label quality the adjusted Rand index.")
    drawn = [
        (title, note, columns[0], data) for title, note, columns in GROUPS if len(data := frame(histories, columns))
    ]
    if all(len(history["epoch"]) < 2 for history in histories.values()):
        st.info("This method has no training curve: it computes its result in one step.")
        return
    for start in range(0, len(drawn), 2):
        for place, (title, note, name, data) in zip(st.columns(2), drawn[start : start + 2], strict=False):
            with place:
                charts.show(_lines(data, several), f"{prefix}-{name}", title, "" if several else note)


def _lines(data: pd.DataFrame, several: bool) -> alt.Chart:
    names, curves = list(data["run"].unique()), list(data["curve"].unique())
    legend = alt.Legend(symbolType="stroke")
    encoding = {
        "x": alt.X("epoch:Q", title="epoch", axis=alt.Axis(tickMinStep=1, format="d"),
                   scale=alt.Scale(zero=False, nice=False, padding=8)),
        "y": alt.Y("value:Q", title=None, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=5)),
        "color": alt.Color("run:N" if several else "curve:N", title=None, sort=names if several else curves,
                           legend=legend if several or len(curves) > 1 else None),
        "tooltip": ["run", "curve", "epoch", alt.Tooltip("value:Q", format=".4~g")],
    }  # fmt: skip
    point = alt.OverlayMarkDef(size=25) if data["epoch"].nunique() <= 20 else False
    chart: alt.Chart = alt.Chart(data).mark_line(strokeWidth=2, point=point).encode(**encoding)
    return chart.properties(height=250)
