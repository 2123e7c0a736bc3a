"""The map of a run's features and its clusters, if `harness inspect` has computed them."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from harness.data import Split
from harness.errors import UserError
from harness.leaderboard import charts, images, url
from harness.leaderboard.images import Picture
from harness.leaderboard.state import project, read
from harness.store import views
from harness.store.maps import Cluster, FeatureMap, clusters, read_map, split_identities
from harness.store.models import Run
from harness.tables.formats import prose

COLORS = {"cluster": "pseudo-label", "identity": "identity", "camera": "camera", "outlier": "outliers"}
MOST = 24
"""Images of a selection that are shown."""


def show(run: Run) -> None:
    """Draw the map and the clusters of a run, or say how they are made."""
    st.subheader("Map of features")
    try:
        found = read_map(project(), run.key)
    except UserError as error:
        st.warning(prose(str(error)))
        return
    if found is None:
        st.caption(f"Not computed yet: `harness inspect {run.key}` projects the training images and clusters them.")
        return
    color = url.segments("Color by", list(COLORS), "color", "cluster", show=COLORS.__getitem__)
    outliers = int(np.count_nonzero(found.cluster < 0))
    groups = clusters(found)
    of = "the method's own clustering" if found.own_labels else "Cluster Contrast's clustering"
    st.caption(
        f"{found.image.size} training images by PCA ({100 * found.explained:.0f} % of the variance), {of} of the last "
        f"epoch's features: {len(groups)} clusters, {outliers} outliers, "
        f"{sum(group.identities > 1 for group in groups)} clusters of several identities, "
        f"{split_identities(found)} identities in several clusters. Draw a frame, or choose a cluster, to see images."
    )
    left, right = st.columns([3, 2])
    key = f"chart:map-{run.key}"
    with left:
        charts.show(_scatter(found, color), f"map-{run.key}", "Training images", f"by {COLORS[color]}",
                    on_select="rerun", selection_mode="frame")  # fmt: skip
    with right:
        chosen = _table(run.key, groups)
    frame = st.session_state.get(key, {}).get("selection", {}).get("frame", {})
    picked = chosen.images if chosen is not None else _inside(found, frame)
    if picked.size:
        _pictures(run, found, picked)


def _scatter(found: FeatureMap, color: str) -> alt.Chart:
    data = pd.DataFrame(
        {"x": found.x, "y": found.y, "identity": found.identity, "camera": found.camera, "cluster": found.cluster}
    )
    data["outlier"] = np.where(found.cluster < 0, "outlier", "in a cluster")
    legend: alt.Legend | None = alt.Legend()
    if color == "outlier":
        scale = alt.Scale(domain=["in a cluster", "outlier"], range=["#8a8f98", "#D55E00"])
    else:
        scale = alt.Scale(scheme="tableau20")
        legend = legend if data[color].nunique() <= 12 else None
    frame = alt.selection_interval(name="frame")
    plain = alt.Axis(labels=False, ticks=False, grid=False)
    chart: alt.Chart = (
        alt.Chart(data)
        .mark_circle(size=28, opacity=0.75)
        .encode(
            x=alt.X("x:Q", title="first principal axis", axis=plain),
            y=alt.Y("y:Q", title="second", axis=plain),
            color=alt.Color(f"{color}:N", title=None, scale=scale, legend=legend),
            tooltip=["identity", "camera", "cluster"],
        )
        .add_params(frame)
        .properties(height=420)
    )
    return chart


def _table(key: str, groups: list[Cluster]) -> Cluster | None:
    """The clusters, least pure first; returns the chosen one."""
    st.markdown("**Clusters by purity** :gray[the most mixed first]")
    if not groups:
        st.caption("no cluster")
        return None
    frame = pd.DataFrame(
        [
            {"cluster": group.number, "images": group.images.size, "purity": 100 * group.purity,
             "identities": group.identities, "cameras": group.cameras, "of its identity": 100 * group.share}
            for group in groups
        ]
    )  # fmt: skip
    percent = st.column_config.NumberColumn(format="%.0f %%")
    event = st.dataframe(
        frame,
        hide_index=True,
        height=400,
        on_select="rerun",
        selection_mode=["single-row", "single-cell"],
        key=f"clusters:{key}",
        column_config={
            "purity": percent,
            "of its identity": st.column_config.NumberColumn(
                format="%.0f %%", help="how many of its commonest identity's images it holds; the rest is elsewhere"
            ),
        },
        alt="Clusters by purity",
    )
    rows = [row for row, _ in event.selection.cells] or event.selection.rows
    return groups[rows[0]] if rows and rows[0] < len(groups) else None


def _inside(found: FeatureMap, frame: dict[str, list[float]]) -> NDArray[np.int64]:
    if not {"x", "y"} <= frame.keys():
        return np.empty(0, np.int64)
    (left, right), (low, high) = sorted(frame["x"]), sorted(frame["y"])
    return np.flatnonzero((found.x >= left) & (found.x <= right) & (found.y >= low) & (found.y <= high))


def _pictures(run: Run, found: FeatureMap, picked: NDArray[np.int64]) -> None:
    try:
        split, data = images.split(read(views.dataset, run.target), "train")
    except UserError as error:
        st.info(prose(str(error)), icon=":material/image_not_supported:")
        return
    if not _same(split, data, found):
        st.warning("The images here are of another version of the dataset than this map: they are not shown.")
        return
    st.caption(f"{picked.size} images" + (f", the first {MOST}" if picked.size > MOST else ""))
    images.strip(
        [
            Picture(
                split.images[found.image[i]],
                f"id {found.identity[i]} · cam {found.camera[i]} · "
                + (f"cluster {found.cluster[i]}" if found.cluster[i] >= 0 else "outlier"),
                f"Identity {found.identity[i]}, camera {found.camera[i]}, cluster {found.cluster[i]}",
            )
            for i in picked[:MOST]
        ]
    )


def _same(split: Split, data: str, found: FeatureMap) -> bool:
    fits = int(found.image.max(initial=0)) < len(split) and np.array_equal(split.ids[found.image], found.identity)
    return fits and (not data or data == found.data)
