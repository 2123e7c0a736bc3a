"""Images of a dataset, from its prepared arrays: no path from a spec, a result or an address is ever opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image, ImageColor

from harness.data import Split, open_prepared
from harness.errors import UserError
from harness.leaderboard.state import project
from harness.store.tables import Dataset
from harness.tables.formats import escape_markdown

HEIGHT = 150
FRAME = 5


@dataclass(frozen=True)
class Picture:
    """An image [H, W, 3] uint8 with its caption; `colour` frames it."""

    pixels: NDArray[np.uint8]
    caption: str
    colour: str | None = None


@st.cache_resource(show_spinner=False, max_entries=12)
def load(dataset: str, split: str, _changed: float) -> tuple[Split, str]:
    """Return a split and the hash of the data it belongs to. Raises UserError if the dataset is not prepared here."""
    prepared = open_prepared(project() / "data" / "prepared" / dataset)
    return prepared.split(split), prepared.data_hash


def split(dataset: Dataset, name: str) -> tuple[Split, str]:
    """Return a split as `load` does, again if it was prepared again."""
    info = project() / "data" / "prepared" / dataset.name / "info.json"
    if not info.exists():
        how = f"`dvc repro prepare@{dataset.name}` prepares them"
        if not dataset.document["drawn"]:
            how = f"`harness data add {dataset.name} PATH` imports them, {how}"
        raise UserError(f"The images of {dataset.title} are not on this machine: {how}.")
    return load(dataset.name, name, info.stat().st_mtime)


def framed(picture: Picture) -> Image.Image:
    """Return the picture `HEIGHT` pixels high, in its frame."""
    image = Image.fromarray(np.ascontiguousarray(picture.pixels))
    height = HEIGHT - 2 * FRAME
    image = image.resize((max(1, round(image.width * height / image.height)), height), Image.Resampling.LANCZOS)
    fill = ImageColor.getrgb(picture.colour) if picture.colour else (128, 128, 128)
    canvas = Image.new("RGB", (image.width + 2 * FRAME, HEIGHT), fill)
    canvas.paste(image, (FRAME, FRAME))
    return canvas


def strip(pictures: Sequence[Picture]) -> None:
    """Show pictures in rows, each with its caption."""
    with st.container(horizontal=True, gap="small"):
        for picture in pictures:
            image = framed(picture)
            st.image(image, caption=escape_markdown(picture.caption), width=image.width)
