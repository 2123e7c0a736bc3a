"""Images of a drawn dataset, drawn when they are looked at: a fresh clone can show them before anything is prepared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness.data import Split
from harness.drawn.layouts import market_paths, veri_paths
from harness.drawn.schedule import Shot, schedule
from harness.drawn.spec import DrawnSpec
from harness.drawn.studio import Studio


class DrawnImages:
    """Indexed like an array of images [N, H, W, 3]; each is drawn when it is asked for, before JPEG compression."""

    def __init__(self, studio: Studio, shots: Sequence[Shot]) -> None:
        self._studio, self._shots = studio, shots

    def __len__(self) -> int:
        return len(self._shots)

    def __getitem__(self, index: int | slice | NDArray[np.int64]) -> NDArray[np.uint8]:
        if isinstance(index, int | np.integer):
            return self._studio.draw(self._shots[index])
        chosen = np.arange(len(self))[index]
        return np.stack([self._studio.draw(self._shots[i]) for i in chosen])

    def __array__(self, dtype: object = None, copy: bool | None = None) -> NDArray[np.uint8]:
        return self[:]


def drawn_splits(spec: DrawnSpec, junk_ids: Sequence[int]) -> dict[str, Split]:
    """Return the splits as preparing gives them: without junk, in the order of their paths."""
    studio, shots = Studio(spec), schedule(spec)
    paths = [path.as_posix() for path in (market_paths(shots) if spec.kind == "person" else veri_paths(shots))]
    splits = {}
    for name in ("train", "query", "gallery"):
        members = [(path, shot) for path, shot in zip(paths, shots, strict=True) if shot.split == name]
        members = sorted(((p, s) for p, s in members if s.identity not in junk_ids), key=lambda member: member[0])
        splits[name] = Split(
            DrawnImages(studio, [shot for _, shot in members]),  # type: ignore[arg-type]  # read by index only
            np.array([shot.identity for _, shot in members], np.int64),
            np.array([shot.camera for _, shot in members], np.int64),
            [path for path, _ in members],
        )
    return splits
