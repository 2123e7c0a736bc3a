"""The pictures that are searched, and the nearest of them: exactly, or by an index where there are very many."""

from __future__ import annotations

from math import isqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import faiss
import numpy as np
import numpy.typing as npt

from harness.data.scan import Progress
from harness.errors import UserError
from harness.use.features import Features, read_features
from harness.use.pictures import pictures_in

if TYPE_CHECKING:
    from harness.matrix import Matrix
    from harness.use.model import Model

INDEX_ABOVE = 1_000_000
"""Pictures from which on an index is built: up to there an exact search of one query takes less than a second."""
LISTS_READ = 32
"""Of the index's inverted lists, per query."""


class Hits(NamedTuple):
    """Per query the positions in the gallery, int64 [Q, k], and similarities [Q, k], the most similar first."""

    positions: npt.NDArray[np.int64]
    similarities: Matrix


class Gallery:
    """Searches `features` by cosine similarity; `how` says how."""

    def __init__(self, features: Features, index_above: int = INDEX_ABOVE) -> None:
        self.features = features
        count, size = features.matrix.shape
        if count > index_above:
            lists = 4 * isqrt(count)
            coarse = faiss.IndexFlatIP(size)
            index = faiss.IndexIVFFlat(coarse, size, lists, faiss.METRIC_INNER_PRODUCT)
            index.nprobe = LISTS_READ
            index.train(features.matrix)
            self._index: Any = index
            self.how = f"an index that reads {LISTS_READ} of {lists} lists"
        else:
            self._index = faiss.IndexFlatIP(size)
            self.how = "exact"
        self._index.add(features.matrix)

    def __len__(self) -> int:
        return len(self.features.paths)

    def search(self, queries: Matrix, top: int) -> Hits:
        """Return the `top` most similar pictures (at most all) for each row of `queries` [Q, d]; ties by position."""
        similarities, positions = self._index.search(np.ascontiguousarray(queries), min(top, len(self)))
        order = np.lexsort((positions, -similarities), axis=1)
        return Hits(np.take_along_axis(positions, order, axis=1), np.take_along_axis(similarities, order, axis=1))


def embed_folder(model: Model, folder: Path, progress: Progress | None = None) -> Features:
    """Return the features of every image below `folder`. Raises UserError if there is none, or one cannot be used."""
    paths = pictures_in(folder)
    matrix = model.embed([folder / path for path in paths], progress)
    return Features(matrix, tuple(paths), folder.as_posix(), model.record.key, model.checkpoint)


def open_gallery(model: Model, path: Path, progress: Progress | None = None) -> Gallery:
    """Return the gallery in a folder of images, or in a file of features that `model` made. Raises UserError."""
    if path.is_dir():
        return Gallery(embed_folder(model, path, progress))
    if not path.exists():
        raise UserError(f"{path}: no such folder of images, and no such file of features")
    features = read_features(path)
    if features.checkpoint != model.checkpoint:
        raise UserError(
            f"{path}: holds features of {features.run} (weights {features.checkpoint[:12]}), not of "
            f"{model.record.key} (weights {model.checkpoint[:12]}); features of two models do not compare. "
            f"Make them again: harness embed {model.record.key} {features.folder} --output {path}"
        )
    return Gallery(features)
