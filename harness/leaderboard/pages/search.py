"""Page: search by a picture: the most similar images of a dataset's gallery, and which of them are the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st

from harness.data import Split
from harness.errors import UserError
from harness.inputs.images import ImageError, decode, resized
from harness.leaderboard import charts, images, url
from harness.leaderboard.images import Picture
from harness.leaderboard.state import project, read, task_titles
from harness.paths import run_folder
from harness.store import views
from harness.store.models import DatasetRow
from harness.tables import addresses
from harness.tables.formats import escape_markdown, prose
from harness.tables.style import JUNK, RIGHT, WRONG

if TYPE_CHECKING:
    from harness.use.calibration import Calibration
    from harness.use.gallery import Gallery
    from harness.use.model import Model

TOP = 12
MARKS = {"same": ("✓ same", RIGHT), "unsure": ("? unsure", JUNK), "different": ("✗ different", WRONG)}


def page() -> None:
    """Draw the page."""
    st.title("Search")
    trained = [run for run in read(views.runs) if (run_folder(project(), run.key) / "checkpoint.safetensors").exists()]
    if not trained:
        st.info("No trained run is on this machine: run `make`, or `dvc pull`.")
        return
    url.check(addresses.Search)
    titles = {method.name: method.title for method in read(views.methods)}
    runs = {run.key: run for run in trained}
    titled = task_titles()
    datasets = {dataset.name: dataset for dataset in read(views.datasets)}
    left, right = st.columns(2)
    with left:
        names = {
            key: f"{titles.get(run.method, run.method)} on {titled(run.task)}, seed {run.seed}"
            for key, run in runs.items()
        }
        key = url.select("Model", list(runs), "run", show=names.__getitem__)
    target = datasets[runs[key].target]
    fitting = [name for name, dataset in datasets.items() if dataset.document["image"] == target.document["image"]]
    with right:
        name = url.select("Gallery", fitting, "gallery", target.name, show=lambda name: datasets[name].title)
    uploaded = st.file_uploader("Picture", ["jpg", "jpeg", "png", "bmp", "webp"], max_upload_size=20)
    try:
        model = _model(key, (run_folder(project(), key) / "checkpoint.safetensors").stat().st_mtime)
        calibration = model.calibration
        _threshold(calibration, key, name)
        if uploaded is None:
            st.caption("The picture is compared here and stored nowhere.")
            return
        gallery, split = _gallery(model, datasets[name])
    except UserError as error:
        st.info(prose(str(error)), icon=":material/image_not_supported:")
        return
    try:
        picture = decode(uploaded.getvalue())
    except ImageError as error:
        st.error(f"{escape_markdown(uploaded.name)} {escape_markdown(str(error))}.", icon=":material/broken_image:")
        return
    hits = gallery.search(model.embed(picture), TOP)
    query = Picture(resized(picture, model.input.height, model.input.width), "query", "The uploaded picture")
    images.strip([query, *_found(hits.positions[0], hits.similarities[0], split, calibration)])


def _found(
    positions: np.ndarray, similarities: np.ndarray, split: Split, calibration: Calibration | None
) -> list[Picture]:
    pictures = []
    for rank, (position, similarity) in enumerate(zip(positions, similarities, strict=True), start=1):
        word, colour = MARKS[calibration.verdict(float(similarity))] if calibration else ("", None)
        known = f", id {split.ids[position]}" if split.ids[position] >= 0 else ""
        text = f"{rank}. {similarity:.3f} {word}{known}"
        pictures.append(
            Picture(split.images[position], text, f"Rank {rank}, similarity {similarity:.3f} {word}", colour)
        )
    return pictures


def _threshold(calibration: Calibration | None, key: str, dataset: str) -> None:
    """What a similarity means, in words and as the two histograms that it was read off."""
    from harness.use.calibration import BINS, meaning

    st.markdown(prose(meaning(calibration)))
    if calibration is None:
        st.code(f"harness calibrate {key} --dataset {dataset}", language=None)
        return
    middles = (np.arange(BINS) + 0.5) * 2 / BINS - 1
    parts = []
    for name, counts in (("same", calibration.same_pairs), ("different", calibration.different_pairs)):
        share = np.array(counts) / max(sum(counts), 1)
        parts.append(pd.DataFrame({"similarity": middles, "share": share, "pairs": name}))
    bars: alt.Chart = (
        alt.Chart(pd.concat(parts))
        .mark_area(opacity=0.5, interpolate="step")
        .encode(
            x=alt.X("similarity:Q", scale=alt.Scale(domain=[-1, 1])),
            y=alt.Y("share:Q", title="share of the pairs", stack=None, axis=alt.Axis(format="%")),
            color=alt.Color("pairs:N", scale=alt.Scale(domain=["same", "different"], range=[RIGHT, WRONG])),
        )
    )
    limits = pd.DataFrame({"limit": [calibration.different_below, calibration.same.threshold]})
    rules = alt.Chart(limits).mark_rule(strokeDash=[4, 3]).encode(x="limit:Q")
    both: alt.LayerChart = alt.LayerChart(layer=[bars.properties(height=220), rules])
    with st.expander("How the threshold was found"):
        charts.show(
            both,
            "threshold",
            "Similarity of pairs",
            f"{calibration.data}; lines: different below, same from",
        )


@st.cache_resource(show_spinner="Loading the model …", max_entries=3)
def _model(key: str, _changed: float) -> Model:
    from harness.use.model import load  # imports torch: only when somebody searches

    return load(run_folder(project(), key))


def _gallery(model: Model, dataset: DatasetRow) -> tuple[Gallery, Split]:
    split, data = images.split(dataset, "gallery")
    if not len(split):
        raise UserError(f"{dataset.title} has no gallery to search in")
    return _embedded(model.checkpoint, data or dataset.name, model, split), split


@st.cache_resource(show_spinner="Embedding the gallery …", max_entries=3)
def _embedded(checkpoint: str, data: str, _model: Model, _split: Split) -> Gallery:
    from harness.use.features import Features
    from harness.use.gallery import Gallery

    matrix = _model.embedder(_split.images)
    return Gallery(Features(matrix, tuple(_split.paths), data, _model.record.key, checkpoint))


if __name__ == "__main__":
    page()
