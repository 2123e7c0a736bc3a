"""What a threshold is measured on: pictures of which somebody knows who they show."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from harness.data.manifest import read_manifest
from harness.data.prepared import Prepared
from harness.data.scan import Progress
from harness.errors import UserError
from harness.inputs.csv import read_rows
from harness.inputs.files import read_bytes
from harness.inputs.limits import IMAGE_BYTES
from harness.use.calibration import BINS, Searches, histogram

if TYPE_CHECKING:
    from harness.matrix import Matrix
    from harness.use.model import Model

COLUMNS = ("a", "b", "same")
SAME = {"1": True, "true": True, "yes": True, "same": True, "0": False, "false": False, "no": False, "different": False}
MANIFEST = "manifest.parquet"
STRIP = 512
"""Searches at a time."""


def searches_in_dataset(model: Model, data: Prepared) -> Searches:
    """Search every query of a prepared dataset in its gallery, by the rules of protocol reid-v1.

    Raises UserError if the dataset has no labels or was prepared for another size of images.
    """
    query, gallery = data.split("query"), data.split("gallery")
    if not len(query) or not len(gallery):
        raise UserError(f"{data.name}: has no labeled query and gallery, so it cannot say who is the same")
    size, wanted = (data.info["height"], data.info["width"]), (model.input.height, model.input.width)
    if size != wanted:
        raise UserError(
            f"{data.name}: is prepared at {size[0]}×{size[1]} pixels, {model.record.key} takes {wanted[0]}×{wanted[1]}"
        )
    query_features, gallery_features = model.embedder(query.images), model.embedder(gallery.images)
    best = np.full((2, len(query)), np.nan)
    counts = np.zeros((2, BINS), np.int64)
    for start in range(0, len(query), STRIP):
        rows = slice(start, start + STRIP)
        similarity = query_features[rows] @ gallery_features.T
        same = query.ids[rows, None] == gallery.ids
        hidden = same & (query.cameras[rows, None] == gallery.cameras) if data.has_cameras else np.zeros_like(same)
        for kind, mask in enumerate((same & ~hidden, ~same)):
            best[kind, rows] = _highest(similarity, mask)
            counts[kind] += histogram(similarity[mask])
    _, identities = np.unique(query.ids, return_inverse=True)
    return Searches(best[0], best[1], identities, counts[0], counts[1], len(gallery))


def _highest(similarity: Matrix, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Return the highest value of each row where `mask` holds, NaN where it never does."""
    best = np.where(mask, similarity, -np.inf).max(axis=1).astype(np.float64)
    return np.where(np.isneginf(best), np.nan, best)


def searches_in_pairs(model: Model, path: Path, progress: Progress | None = None) -> Searches:
    """Compare the pairs of a CSV file with columns a, b (paths relative to the file) and same (yes or no).

    A column identity, if there is one, says who `a` shows; else each picture `a` is resampled by itself. Raises
    UserError naming the line.
    """
    rows = _read(path)
    pictures = _pictures(rows)
    index = {picture: number for number, picture in enumerate(pictures)}
    missing = [picture for picture in pictures if not (path.parent / picture).is_file()]
    if missing:
        raise UserError(f"{path}: {len(missing)} pictures are missing, for example {path.parent / missing[0]}")
    features = model.embed([path.parent / picture for picture in pictures], progress)
    a, b = (np.array([index[row[side]] for row in rows]) for side in ("a", "b"))
    similarity = np.einsum("nd,nd->n", features[a], features[b])
    same = np.array([SAME[row["same"].lower()] for row in rows])
    _, identities = np.unique([row.get("identity") or row["a"] for row in rows], return_inverse=True)
    return Searches(
        best_same=np.where(same, similarity, np.nan).astype(np.float64),
        best_different=np.where(same, np.nan, similarity).astype(np.float64),
        identities=identities,
        same_pairs=histogram(similarity[same]),
        different_pairs=histogram(similarity[~same]),
        gallery=1,
    )


def trained_on(path: Path, prepared: Path) -> tuple[int, int]:
    """Return how many pictures of a file of pairs are training images of a dataset, and how many there are.

    They are told by their content. None is where the dataset is not prepared here.
    """
    pictures = _pictures(_read(path))
    manifest = prepared / MANIFEST
    if not manifest.is_file():
        return 0, len(pictures)
    table = read_manifest(manifest)
    known = {row["content"] for row in table.select(["split", "content"]).to_pylist() if row["split"] == "train"}
    return sum(_content(path.parent / picture) in known for picture in pictures), len(pictures)


def _content(path: Path) -> str:
    return hashlib.blake2b(read_bytes(path, IMAGE_BYTES), digest_size=16).hexdigest()


def _pictures(rows: list[dict[str, str]]) -> list[str]:
    return sorted({row[side] for row in rows for side in ("a", "b")})


def _read(path: Path) -> list[dict[str, str]]:
    rows = read_rows(path, COLUMNS)
    for line, row in enumerate(rows, start=2):
        if not row["a"] or not row["b"] or row["same"].lower() not in SAME:
            raise UserError(f"{path}:{line}: expected two paths and one of {', '.join(SAME)}")
    if not rows:
        raise UserError(f"{path}: holds no pair")
    return rows
