"""Read a dataset from disk: recognize its arrangement, list the images, parse identity and camera from names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from harness.data.listing import Listed, images_below, list_images
from harness.data.records import NO_CAMERA, SPLITS, Dataset, ImageRecord
from harness.errors import UserError
from harness.specs.dataset import DatasetSpec
from harness.specs.layout import Arrangement, ImageSet

EXAMPLES = 3
DEPTH = 3  # official archives hold their folders inside up to two outer ones


def read_dataset(spec: DatasetSpec, root: Path | str) -> Dataset:
    """Read the dataset in folder `root` (or in the single folder of it that holds the layout) as `spec` describes it.

    No image is opened. Raises UserError if the layout is not there, or for names that give no identity or camera.
    """
    root = Path(root)
    base, arrangement = recognize(spec, root)
    has_cameras = "camera" in re.compile(arrangement.pattern).groupindex or any(
        part.xml for part in arrangement.splits.values()
    )
    listed = {split: list_images(base, part) for split, part in arrangement.splits.items()}
    reader = _LabelReader(spec, arrangement, has_cameras)
    if spec.layout.named_ids:
        reader.number_names(listed)
    records: dict[str, tuple[ImageRecord, ...]] = {}
    frames: dict[str, tuple[int | None, ...]] = {}
    dropped = {}
    for split, part in arrangement.splits.items():
        found = reader.records(split, part, listed[split], base.relative_to(root))
        kept = [(record, frame) for record, frame in found if record.id not in spec.junk_ids]
        kept.sort(key=lambda pair: pair[0].path.as_posix())
        offset = 0 if split == "train" else spec.layout.test_id_offset
        records[split] = tuple(record._replace(id=record.id + offset) for record, _ in kept)
        frames[split] = tuple(frame for _, frame in kept)
        dropped[split] = len(found) - len(kept)
    return Dataset(**records, frames=frames, arrangement=arrangement.name, has_cameras=has_cameras, dropped=dropped)


def recognize(spec: DatasetSpec, root: Path) -> tuple[Path, Arrangement]:
    """Return the folder at or below `root` that holds the dataset, and the arrangement found there.

    An arrangement is recognized by its folders, its list files and the form of the first image name. Raises UserError.
    """
    try:
        return _recognize(spec, root)
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be read: {error.strerror}; check its permissions") from error


def _recognize(spec: DatasetSpec, root: Path) -> tuple[Path, Arrangement]:
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; {spec.title} is added with: harness data add {spec.name} PATH")
    near_miss = ""
    for folder in _folders(root, DEPTH):
        for arrangement in spec.layout.arrangements:
            if not all((folder / path).exists() for path in arrangement.files):
                continue
            stranger = _stranger(folder, arrangement)
            if stranger is None:
                return folder, arrangement
            near_miss = f" {folder} has the folders, but the name {stranger!r} does not fit {arrangement.pattern!r}."
    wanted = "; or ".join(f"{', '.join(a.files)} ({a.name})" for a in spec.layout.arrangements)
    there = ", ".join(sorted(path.name for path in root.iterdir())[:8]) or "nothing"
    raise UserError(f"{root}: this is not {spec.title}.{near_miss} Expected: {wanted}. Found: {there}.")


def _folders(root: Path, depth: int) -> Iterator[Path]:
    """Yield `root` and the folders below it, breadth first, without hidden ones and macOS resource forks."""
    level = [root]
    for _ in range(depth):
        yield from level
        level = [
            Path(child.path)
            for folder in level
            for child in sorted(os.scandir(folder), key=lambda entry: entry.name)
            if child.is_dir() and not child.name.startswith((".", "__MACOSX"))
        ]
        if len(level) > 100:  # identities, not outer folders
            return


def _stranger(folder: Path, arrangement: Arrangement) -> str | None:
    """Return an image name that does not fit the arrangement's pattern, if the first ones do not."""
    pattern = re.compile(arrangement.pattern)
    for part in arrangement.splits.values():
        names = [entry.name for entry in list_images(folder, ImageSet(folder=part.folder, lists=part.lists))[:20]]
        if names and not any(pattern.search(name) for name in names):
            return names[0]
    return None


class _LabelReader:
    """Parses labels: turns listed images of one arrangement into records."""

    def __init__(self, spec: DatasetSpec, arrangement: Arrangement, has_cameras: bool) -> None:
        self.spec = spec
        self.pattern = re.compile(arrangement.pattern)
        self.has_cameras = has_cameras
        self.numbers: dict[str, int] | None = None

    def number_names(self, listed: dict[str, list[Listed]]) -> None:
        """Number the identities, which are words, in alphabetical order over all splits."""
        names = {self._stated(entry, "id") for split in SPLITS for entry in listed[split]} - {None}
        self.numbers = {str(name): number for number, name in enumerate(sorted(map(str, names)))}

    def records(
        self, split: str, part: ImageSet, listed: list[Listed], prefix: Path
    ) -> list[tuple[ImageRecord, int | None]]:
        """Return record and frame of each image. Raises UserError that shows names without identity or camera."""
        found, wrong = [], []
        for entry in listed:
            identity = self._identity(entry)
            camera = to_number(self._stated(entry, "camera")) if self.has_cameras else NO_CAMERA[split]
            if identity is None or camera is None:
                wrong.append(f"{entry.name} ({entry.stated_in})")
            else:
                record = ImageRecord(prefix / part.folder / PurePosixPath(entry.name), identity, camera)
                found.append((record, to_number(self._stated(entry, "frame"))))
        if wrong:
            examples = ", ".join(wrong[:EXAMPLES])
            raise UserError(
                f"{split}: {len(wrong)} image names give no identity or camera, for example {examples}; "
                f"{self.spec.title} expects names that match {self.pattern.pattern!r}"
            )
        return found

    def _identity(self, entry: Listed) -> int | None:
        stated = self._stated(entry, "id")
        if self.numbers is not None:
            return self.numbers.get(stated) if stated is not None else None
        return to_number(stated)

    def _stated(self, entry: Listed, group: str) -> str | None:
        beside = {"id": entry.id, "camera": entry.camera}.get(group)
        if beside is not None:
            return beside
        match = self.pattern.search(entry.name)
        return match.groupdict().get(group) if match else None


def to_number(text: str | None) -> int | None:
    """Return the integer in '0007', '-1' or 'c007'; None for anything else."""
    match = re.fullmatch(r"c?(-?\d+)", text or "")
    return int(match[1]) if match else None


def unlisted(base: Path, arrangement: Arrangement) -> list[str]:
    """Return the images, relative to `base`, that lie in a listed split's folder but in no list."""
    parts = [part for part in (*arrangement.splits.values(), *arrangement.unused) if part.lists]
    named = {f"{part.folder}/{entry.name}" for part in parts for entry in list_images(base, part)}
    folders = sorted({part.folder for part in parts})
    return [
        path for folder in folders for name in images_below(base / folder) if (path := f"{folder}/{name}") not in named
    ]
