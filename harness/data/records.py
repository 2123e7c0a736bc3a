"""Records of a dataset that was read from disk: path, identity and camera of each image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

SPLITS = ("train", "query", "gallery")

NO_CAMERA = {"train": -1, "query": -2, "gallery": -1}
"""Camera numbers where a dataset has no camera labels: query and gallery differ, so that the rule "same identity and
same camera is junk" removes nothing."""


UNLABELED = -1
"""Identity of the images of a training split without identities."""


class ImageRecord(NamedTuple):
    """One image. The camera is the number that its name states (not shifted to 0), or `NO_CAMERA` of its split."""

    path: Path  # relative to the dataset's folder
    id: int
    camera: int


@dataclass(frozen=True)
class Dataset:
    """The three splits, each sorted by path. Junk identities are left out; `dropped` counts them per split."""

    train: tuple[ImageRecord, ...]
    query: tuple[ImageRecord, ...]
    gallery: tuple[ImageRecord, ...]
    arrangement: str  # name of the arrangement that was recognized
    has_cameras: bool
    has_ids: bool  # of the training images; query and gallery always have them
    frames: Mapping[
        str, tuple[int | None, ...]
    ]  # per split, the frame or time in the name of each record, if there is one
    dropped: Mapping[str, int]

    @property
    def splits(self) -> Mapping[str, tuple[ImageRecord, ...]]:
        """Records by split name."""
        return {"train": self.train, "query": self.query, "gallery": self.gallery}
