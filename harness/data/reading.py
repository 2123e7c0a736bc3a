"""Read a dataset from disk: recognize its arrangement, list the images, parse identity and camera from names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from harness.data.listing import Listed, images_below, list_images
from harness.data.records import NO_CAMERA, SPLITS, UNLABELED, Dataset, ImageRecord
from harness.errors import UserError
from harness.inputs.limits import DIGITS
from harness.inputs.patterns import Pattern
from harness.specs.dataset import DatasetSpec
from harness.specs.layout import Arrangement, ImageSet

EXAMPLES = 3
NUMBER = re.compile(rf"c?(-?)0*(\d{{1,{DIGITS}}})", re.ASCII)
DEPTH = 3  # official archives hold their folders inside up to two outer ones


def read_dataset(spec: DatasetSpec, root: Path | str) -> Dataset:
    """Read the dataset in folder `root` (or in the single folder of it that holds the layout) as `spec` describes it.

    No image is opened. Raises UserError if the layout is not there, or for names that give no identity or camera.
    """
    root = Path(root)
    base, arrangement = recognize(spec, root)
    listed = {split: list_images(base, part) for split, part in arrangement.splits.items()}
    has_cameras = (
        "camera" in Pattern(arrangement.pattern).groups
        or any(part.xml for part in arrangement.splits.values())
        or any(part.table and entry.camera for split, part in arrangement.splits.items() for entry in listed[split])
    )
    reader = _LabelReader(spec, arrangement, has_cameras)
    for group, named in (("id", spec.layout.named_ids), ("camera", spec.layout.named_cameras)):
        if named:
            reader.number_names(group, listed)
    has_ids = reader.labels_train(listed["train"])
    records: dict[str, tuple[ImageRecord, ...]] = dict.fromkeys(SPLITS, ())
    frames: dict[str, tuple[int | None, ...]] = dict.fromkeys(SPLITS, ())
    dropped = dict.fromkeys(SPLITS, 0)
    for split, part in arrangement.splits.items():
        found = reader.records(split, part, listed[split], base.relative_to(root))
        junk = spec.junk_ids if has_ids or split != "train" else ()
        kept = [(record, frame) for record, frame in found if record.id not in junk]
        kept.sort(key=lambda pair: pair[0].path.as_posix())
        offset = 0 if split == "train" else spec.layout.test_id_offset
        records[split] = tuple(record._replace(id=record.id + offset) for record, _ in kept)
        frames[split] = tuple(frame for _, frame in kept)
        dropped[split] = len(found) - len(kept)
    return Dataset(
        **records,
        frames=frames,
        arrangement=arrangement.name,
        has_cameras=has_cameras,
        has_ids=has_ids,
        dropped=dropped,
    )


def read_folder(spec: DatasetSpec, root: Path | str, folder: str) -> tuple[ImageRecord, ...]:
    """Return the records of one more folder of the dataset, sorted by path, read by its own pattern.

    Of Market-1501 `gt_bbox`, whose images stand for a query together. Junk identities are left out. Errors as in
    `read_dataset`; UserError, too, for a dataset whose identities or cameras are words, which its splits number.
    """
    root = Path(root)
    base, arrangement = recognize(spec, root)
    if spec.layout.named_ids or spec.layout.named_cameras:
        raise UserError(
            f"{root / folder}: words are numbered over the splits of {spec.name}; a further folder has none"
        )
    part = ImageSet(folder=folder)
    reader = _LabelReader(spec, arrangement, "camera" in Pattern(arrangement.pattern).groups)
    found = reader.records("query", part, list_images(base, part), base.relative_to(root))
    kept = (r._replace(id=r.id + spec.layout.test_id_offset) for r, _ in found if r.id not in spec.junk_ids)
    return tuple(sorted(kept, key=lambda record: record.path.as_posix()))


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
    for level in _levels(root, DEPTH):
        fitting: dict[Path, Arrangement] = {}
        for folder in level:
            for arrangement in spec.layout.arrangements:
                if not all((folder / path).exists() for path in arrangement.files):
                    continue
                stranger = _stranger(folder, arrangement)
                if stranger is None:
                    fitting.setdefault(folder, arrangement)
                    continue
                near_miss = (
                    f" {folder} has the folders, but the name {stranger!r} does not fit {arrangement.pattern!r}."
                )
        if len(fitting) > 1:
            names = ", ".join(sorted(map(str, fitting)))
            raise UserError(f"{root}: several folders below it fit {spec.title}: {names}; name the one that is meant")
        for folder, arrangement in fitting.items():
            return folder, arrangement
    wanted = "; or ".join(f"{', '.join(a.files)} ({a.name})" for a in spec.layout.arrangements)
    there = ", ".join(sorted(path.name for path in root.iterdir())[:8]) or "nothing"
    raise UserError(f"{root}: this is not {spec.title}.{near_miss} Expected: {wanted}. Found: {there}.")


def _levels(root: Path, depth: int) -> Iterator[list[Path]]:
    """Yield `root`, then the folders in it, and so on; hidden ones and macOS's resource forks left out."""
    level = [root]
    for _ in range(depth):
        yield level
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
    pattern = Pattern(arrangement.pattern)
    for part in arrangement.splits.values():
        names = [entry.name for entry in list_images(folder, ImageSet(folder=part.folder, lists=part.lists))[:20]]
        if names and all(pattern.search(name) is None for name in names):
            return names[0]
    return None


class _LabelReader:
    """Parses labels: turns listed images of one arrangement into records."""

    def __init__(self, spec: DatasetSpec, arrangement: Arrangement, has_cameras: bool) -> None:
        self.spec = spec
        self.pattern = Pattern(arrangement.pattern)
        self.has_cameras = has_cameras
        self.has_ids = True
        self.numbers: dict[str, dict[str, int]] = {}
        self.last: tuple[Listed | None, dict[str, str | None]] = (None, {})  # one search for all groups of a name

    def number_names(self, group: str, listed: dict[str, list[Listed]]) -> None:
        """Number the identities or cameras, which are words, in alphabetical order over all splits."""
        names = {self._stated(entry, group) for entries in listed.values() for entry in entries} - {None}
        self.numbers[group] = {str(name): number for number, name in enumerate(sorted(map(str, names)))}

    def labels_train(self, listed: list[Listed]) -> bool:
        """Return whether any training image has an identity; if none has, the split is unlabeled."""
        self.has_ids = any(self._stated(entry, "id") is not None for entry in listed)
        return self.has_ids

    def records(
        self, split: str, part: ImageSet, listed: list[Listed], prefix: Path
    ) -> list[tuple[ImageRecord, int | None]]:
        """Return record and frame of each image. Raises UserError that shows names without identity or camera."""
        found, wrong = [], []
        for entry in listed:
            identity = self._number(entry, "id") if self.has_ids or split != "train" else UNLABELED
            camera = self._number(entry, "camera") if self.has_cameras else NO_CAMERA[split]
            if identity is None or camera is None:
                wrong.append(f"{entry.name} ({entry.stated_in})")
            else:
                record = ImageRecord(prefix / part.folder / PurePosixPath(entry.name), identity, camera)
                found.append((record, to_number(self._stated(entry, "frame"))))
        if wrong:
            examples = ", ".join(wrong[:EXAMPLES])
            raise UserError(
                f"{split}: {len(wrong)} image names give no identity or camera, for example {examples}; "
                f"{self.spec.title} expects names that match {self.pattern.text!r}, with numbers of at most {DIGITS} "
                "digits (identities or cameras that are words or longer: layout.named_ids or layout.named_cameras)"
            )
        return found

    def _number(self, entry: Listed, group: str) -> int | None:
        stated = self._stated(entry, group)
        if group in self.numbers:
            return self.numbers[group].get(stated) if stated is not None else None
        return to_number(stated)

    def _stated(self, entry: Listed, group: str) -> str | None:
        beside = {"id": entry.id, "camera": entry.camera}.get(group)
        if beside is not None:
            return beside
        if entry is not self.last[0]:
            self.last = (entry, self.pattern.search(entry.name) or {})
        return self.last[1].get(group)


def to_number(text: str | None) -> int | None:
    """Return the integer in '0007', '-1' or 'c007'; None for anything else, also for one that does not fit 64 bits."""
    match = NUMBER.fullmatch(text or "")
    return int(match[1] + match[2]) if match else None


def unlisted(base: Path, arrangement: Arrangement) -> list[str]:
    """Return the images, relative to `base`, that lie in a listed split's folder but in no list."""
    parts = [part for part in (*arrangement.splits.values(), *arrangement.unused) if part.lists or part.table]
    named = {f"{part.folder}/{entry.name}" for part in parts for entry in list_images(base, part)}
    folders = sorted({part.folder for part in parts})
    return [
        path for folder in folders for name in images_below(base / folder) if (path := f"{folder}/{name}") not in named
    ]
