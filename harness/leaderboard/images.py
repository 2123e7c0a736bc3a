"""Images of a dataset, from its prepared arrays or drawn on the spot: no path from a spec, a result or an address is
ever opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image, ImageColor

from harness.data import Split, open_prepared
from harness.drawn.spec import DrawnSpec
from harness.errors import UserError
from harness.leaderboard.state import project
from harness.store.models import DatasetRow
from harness.tables.formats import escape_markdown

HEIGHT = 150
FRAME = 5


@dataclass(frozen=True)
class Picture:
    """An image [H, W, 3] uint8 with its caption; `colour` frames it, `alt` says what it shows."""

    pixels: NDArray[np.uint8]
    caption: str
    alt: str
    colour: str | None = None


@st.cache_resource(show_spinner=False, max_entries=12)
def load(dataset: str, split: str, _changed: float) -> tuple[Split, str]:
    """Return a split and the hash of the data it belongs to. Raises UserError if the dataset is not prepared here."""
    prepared = open_prepared(project() / "data" / "prepared" / dataset)
    return prepared.split(split, verified=False), prepared.data_hash


@st.cache_resource(show_spinner=False, max_entries=6)
def _drawn(spec: str, junk_ids: tuple[int, ...]) -> dict[str, Split]:
    from harness.leaderboard.on_demand import drawn_splits  # compiled when first used

    return drawn_splits(DrawnSpec.model_validate_json(spec), junk_ids)


def split(dataset: DatasetRow, name: str) -> tuple[Split, str]:
    """Return a split and its data's hash, read again if it was prepared again; a drawn one is drawn, with hash ''.

    Raises UserError if the images are not on this machine.
    """
    info = project() / "data" / "prepared" / dataset.name / "info.json"
    if info.exists():
        return load(dataset.name, name, info.stat().st_mtime)
    if dataset.document["drawn"]:
        drawn = DrawnSpec.model_validate(dataset.document["drawn"])
        return _drawn(drawn.model_dump_json(), tuple(dataset.document["junk_ids"]))[name], ""
    raise UserError(
        f"The images of {dataset.title} are not on this machine: `harness data add {dataset.name} PATH` imports them, "
        f"`dvc repro prepare@{dataset.name}` prepares them."
    )


def shown(picture: Picture) -> Image.Image:
    """Return the picture `HEIGHT` pixels high, in its frame if it has one."""
    image = Image.fromarray(np.ascontiguousarray(picture.pixels))
    frame = FRAME if picture.colour else 0
    height = HEIGHT - 2 * frame
    image = image.resize((max(1, round(image.width * height / image.height)), height), Image.Resampling.LANCZOS)
    if not picture.colour:
        return image
    canvas = Image.new("RGB", (image.width + 2 * FRAME, HEIGHT), ImageColor.getrgb(picture.colour))
    canvas.paste(image, (FRAME, FRAME))
    return canvas


def strip(pictures: Sequence[Picture]) -> None:
    """Show pictures in rows, each with its caption."""
    with st.container(horizontal=True, gap="small"):
        for picture in pictures:
            image = shown(picture)
            st.image(image, caption=escape_markdown(picture.caption), width=image.width, alt=picture.alt)
