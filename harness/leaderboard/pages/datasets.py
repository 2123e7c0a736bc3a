"""Page: a dataset: its splits against what they should be, sample images, license."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st

from harness.data import Split
from harness.errors import UserError
from harness.leaderboard import charts, images, url
from harness.leaderboard.frame import link, name_window
from harness.leaderboard.images import Picture
from harness.leaderboard.state import read, task_title
from harness.store import views
from harness.store.models import DatasetRow
from harness.tables import addresses
from harness.tables.formats import escape_markdown, prose

SPLITS = ("train", "query", "gallery")
ANY = "all"
SHEET, EACH, DISCRETE = 8, 12, 30


def page() -> None:
    """Draw the page."""
    st.title("Datasets")
    datasets = {d.name: d for d in sorted(read(views.datasets), key=lambda d: d.role != "task")}
    if not datasets:
        st.info("There is no dataset yet: add a spec under `datasets/`.")
        return
    url.check(addresses.Datasets)
    left, right = st.columns(2)
    with left:
        name = url.select("Dataset", list(datasets), "dataset", show=lambda name: datasets[name].title)
    with right:
        split = url.segments("Split", SPLITS, "split", "train")
    dataset = datasets[name]
    name_window(dataset.title)
    document = dataset.document
    if document["access"]["withdrawn"]:
        st.warning(f"**Withdrawn.** {escape_markdown(document['access']['withdrawn'])}", icon=":material/gavel:")
    size = f"images {document['image']['height']} × {document['image']['width']}"
    use = [] if dataset.role == "task" else ["only pre-trains a start, never evaluated"]
    st.caption(" · ".join([dataset.kind, f"{dataset.regime} regime", size, *use]))
    found, reason = _splits(dataset)
    _counts(dataset, found)
    if reason:
        st.info(prose(reason), icon=":material/image_not_supported:")
    else:
        _browser(found[split])
        _histograms(found[split])
    _access(dataset)
    with st.container(horizontal=True):
        for task in [task.name for task in read(views.tasks) if task.target == name][:5]:
            link(addresses.Leaderboard(task=task), f"Leaderboard of {escape_markdown(task_title(task))}")


def _splits(dataset: DatasetRow) -> tuple[dict[str, Split], str]:
    try:
        return {split: images.split(dataset, split)[0] for split in SPLITS}, ""
    except UserError as error:
        return {}, str(error)


def _counts(dataset: DatasetRow, found: dict[str, Split]) -> None:
    """Counts as published beside those of the prepared data."""
    rows: list[dict[str, Any]] = []
    for split in SPLITS:
        expected = (dataset.document["expect"] or {}).get(split)  # one's own data expects no counts
        row: dict[str, Any] = {"split": split}
        for name in ("images", "ids", "cameras"):
            if expected:
                row[f"{name}, expected"] = expected[name]
            if found:
                row[f"{name}, here"] = _count(found[split], name)
        if found and expected:
            right = all(row[f"{name}, here"] == row[f"{name}, expected"] for name in ("images", "ids", "cameras"))
            row["agrees"] = "✓ yes" if right else "✗ no"
        rows.append(row)
    frame = pd.DataFrame(rows)
    number = st.column_config.NumberColumn(format="localized")
    config = dict.fromkeys(frame.columns.difference(["split", "agrees"]), number)
    st.dataframe(frame, hide_index=True, column_config=config, width="content", alt="Counts per split")
    if any(row.get("agrees") == "✗ no" for row in rows):
        st.caption(f"`harness data verify {dataset.name}` says what differs.")


def _count(split: Split, name: str) -> int:
    if name == "images":
        return len(split)
    values = split.ids if name == "ids" else split.cameras[split.cameras >= 0]
    return len(np.unique(values))


def _browser(split: Split) -> None:
    """Identities × cameras, some identities at a time."""
    cameras = sorted(map(str, np.unique(split.cameras)), key=int)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        camera = url.select("Camera", [ANY, *cameras], "camera", ANY, width=140)
        kept = split.cameras == int(camera) if camera != ANY else np.ones(len(split), bool)
        known = np.unique(split.ids[(split.ids > 0) & kept])
        if not known.size:
            st.info("No image with an identity is left by this filter.")
            return
        sheets = [str(n) for n in range(1, -(-known.size // SHEET) + 1)]
        sheet = url.select("Page", sheets, "sheet", width=120)
        place = sheets.index(sheet)
        for label, step, icon in (("Previous", -1, "chevron_left"), ("Next", 1, "chevron_right")):
            inside = 0 <= place + step < len(sheets)
            st.button(label, icon=f":material/{icon}:", disabled=not inside, on_click=url.state,
                      args=("sheet", sheets[place + step] if inside else sheet))  # fmt: skip
    st.caption(f"{known.size} identities, {SHEET} on a page; of each up to {EACH} images, one camera after the other")
    for identity in known[place * SHEET : (place + 1) * SHEET]:
        mine = np.flatnonzero((split.ids == identity) & kept)
        mine = mine[np.argsort(split.cameras[mine], kind="stable")]
        seen = ", ".join(str(camera) for camera in np.unique(split.cameras[mine]))
        st.markdown(f"**Identity {identity}** :gray[{mine.size} images, cameras {seen}]")
        images.strip(
            [
                Picture(split.images[i], f"cam {split.cameras[i]}", f"Identity {identity}, camera {split.cameras[i]}")
                for i in mine[:EACH]
            ]
        )


def _histograms(split: Split) -> None:
    left, right = st.columns(2)
    _, per_identity = np.unique(split.ids, return_counts=True)
    cameras, per_camera = np.unique(split.cameras, return_counts=True)
    with left:
        images_each, identities = np.unique(per_identity, return_counts=True)
        data = pd.DataFrame({"images": images_each, "identities": identities})
        kind = "images:O" if images_each.size <= DISCRETE else "images:Q"  # a bar for each value while there is room
        x = alt.X(kind, title="images", axis=alt.Axis(format="d", labelAngle=0))
        chart = alt.Chart(data).mark_bar().encode(x=x, y=alt.Y("identities:Q", title="identities"))
        charts.show(chart.properties(height=220), "per-identity", "Images per identity")
    with right:
        data = pd.DataFrame({"camera": [str(camera) for camera in cameras], "images": per_camera})
        x = alt.X("camera:N", title="camera", sort=None, axis=alt.Axis(labelAngle=0))
        chart = alt.Chart(data).mark_bar().encode(x=x, y=alt.Y("images:Q", title="images"))
        charts.show(chart.properties(height=220), "per-camera", "Images per camera")


def _access(dataset: DatasetRow) -> None:
    access = dataset.document["access"]
    left, right = st.columns([3, 2])
    with left:
        st.markdown(f"**License** {escape_markdown(access['license'])}")
        if access["note"]:
            st.markdown(escape_markdown(access["note"]))
        if access["homepage"].startswith(("https://", "http://")):
            st.link_button("Homepage", access["homepage"], icon=":material/open_in_new:", type="tertiary")
    citation = dataset.document["citation"].strip()
    if citation:
        right.code(citation, language=None, wrap_lines=True)


if __name__ == "__main__":
    page()
