"""A spec for a folder of one's own: what was recognized in it, what was guessed, and what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path, PurePosixPath
from statistics import median
from typing import Any

from ruamel.yaml import YAML

from harness.data.listing import images_below
from harness.data.records import SPLITS
from harness.errors import UserError
from harness.importing.label_files import find_label_file
from harness.inputs.folders import files_below
from harness.inputs.images import SUFFIXES, read_size
from harness.inputs.patterns import Pattern
from harness.specs.dataset import Kind

LOOKED_AT = 200
"""Images whose sizes are read."""
MOST_CAMERAS = 64
"""Folders beyond this many are individuals or days rather than cameras."""
UPRIGHT = 1.3
"""Crops at least this much higher than wide are taken for people, those this much wider than high for vehicles."""
TALL, SQUARE = (128, 64), (96, 96)
"""Height and width that crops are resized to: about as many pixels, so that an epoch takes as long."""
READINGS = {
    "a token like c3, cam3 or camera_3": r"(?:^|[/_\-. ])(?:c|cam|camera)[_\-]?(?P<camera>\d+)(?=s\d|[/_\-. ]|$)",
    "the first folder": r"^(?P<camera>[^/]+)/",
}
"""Where the camera may stand in a path, the most telling first."""
IDENTITIES = {
    "the number that file names begin with": r"(?:^|/)(?P<id>\d+)_[^/]*$",
    "the picture's own folder": r"(?:^|/)(?P<id>[^/]+)/[^/]+$",
}
"""Where the identity may stand in a path of the labeled splits."""


@dataclass(frozen=True)
class Proposal:
    """A spec as YAML, and in words what it rests on."""

    text: str
    notes: tuple[str, ...]


def propose(name: str, folder: Path) -> Proposal:
    """Return a spec of `folder` for a dataset called `name`; only sizes of some images are read.

    Raises UserError if there is no folder, or no image in it.
    """
    if not folder.is_dir():
        raise UserError(
            f"{name}: no dataset is called so, and {folder} is no folder from which a spec could be proposed"
        )
    notes: list[str] = []
    labels = find_label_file(folder, notes)
    splits: Mapping[str, Any]
    if labels:
        splits, base = labels.layout(), dict.fromkeys(labels.splits, folder)
        names = {split: [entry.name for entry in entries] for split, entries in labels.splits.items()}
    else:
        splits = {split: split for split in SPLITS if (folder / split).is_dir()} or {"train": "."}
        base = {split: folder / below for split, below in splits.items()}
        names = {split: images_below(base[split]) for split in splits}
    if "train" not in splits or ("query" in splits) != ("gallery" in splits):
        raise UserError(
            f"{folder}: has {', '.join(splits)}, but a dataset has train alone, or train, query and gallery"
        )
    everything = [image for found in names.values() for image in found]
    if not names["train"]:
        raise UserError(f"{base['train']}: holds no image ({_kinds(folder)}); they end in {' '.join(SUFFIXES)}")
    counts = ", ".join(f"{len(found)} {split}" for split, found in names.items())
    notes.insert(0, f"{len(everything)} images{f' named by {labels.name}' if labels else ''}: {counts}")
    if strangers := _kinds(folder):
        notes.append(f"no images, left out: {strangers}")
    cameras, identities = (labels.stated(column) if labels else [] for column in ("camera", "id"))
    pattern, words = _stated("cameras", cameras, notes) if cameras else _camera(everything, notes)
    named_ids = False
    if identities:
        _, named_ids = _stated("identities", identities, notes)
    elif "query" in splits:
        pattern, named_ids = _identity(names, pattern, notes)
    height, width, kind = _size([base["train"] / image for image in names["train"]], notes)
    if "query" not in splits:
        wanted = "rows whose split is query and gallery" if labels else "query and gallery folders"
        notes.append(f"nothing to evaluate on: figures without labels only, no mAP; add {wanted} to get one")
    layout: dict[str, Any] = {**splits, "pattern": pattern or ""}
    layout |= {key: True for key, wanted in (("named_ids", named_ids), ("named_cameras", words)) if wanted}
    spec = {
        "name": name, "title": name.replace("-", " ").capitalize(), "kind": kind, "regime": "photo-cpu",
        "starter": False, "image": {"height": height, "width": width}, "layout": layout, "junk_ids": [],
        "distractor_ids": [], "sources": [],
        "access": {"homepage": "none", "license": "your own data"}, "citation": "none",
    }  # fmt: skip
    out = StringIO()
    yaml = YAML()
    yaml.width = 1000
    yaml.dump(spec, out)
    return Proposal(out.getvalue(), tuple(notes))


def _stated(what: str, values: list[str], notes: list[str]) -> tuple[None, bool]:
    """Return no pattern, since a file of labels says it, and whether the values are words."""
    notes.append(f"{len(set(values))} {what} from the file of labels")
    return None, not all(value.isdecimal() for value in values)


def _camera(names: list[str], notes: list[str]) -> tuple[str | None, bool]:
    """Return the pattern that gives the camera of every image, and whether cameras are words."""
    fitting: dict[str, set[str]] = {}
    for how, text in READINGS.items():
        found = _groups(text, "camera", names)
        cameras = {camera for camera in found if camera}
        if None not in found and 2 <= len(cameras) <= MOST_CAMERAS:
            fitting[how] = cameras
        elif None not in found and len(cameras) == 1:
            notes.append(f"one camera only ({how}): nothing to adapt across")
    if not fitting:
        notes.append("no camera was recognized in the paths; state it in the pattern (group camera) if they give it")
        return None, False
    how, cameras = next(iter(fitting.items()))
    shown = ", ".join(sorted(cameras)[:8]) + (" …" if len(cameras) > 8 else "")
    notes.append(f"{len(cameras)} cameras from {how}: {shown}")
    for other, theirs in list(fitting.items())[1:]:
        notes.append(f"{other} would fit too, with {len(theirs)} cameras: mend the pattern if that is meant")
    return READINGS[how], not all(camera.isdigit() for camera in cameras)


def _identity(names: dict[str, list[str]], camera: str | None, notes: list[str]) -> tuple[str | None, bool]:
    """Return `camera`'s pattern with the identity of every labeled image in it, and whether identities are words."""
    labeled = [*names["query"], *names["gallery"]]
    for how, text in IDENTITIES.items():
        query, gallery, train = (_groups(text, "id", names[split]) for split in ("query", "gallery", "train"))
        known = {*query, *gallery}
        if None in known or len(known) < 2 or not {*query} & {*gallery}:
            continue
        if camera and _groups(camera, "camera", labeled) == [*query, *gallery]:
            continue  # a folder that says both says the camera
        individuals = {*train} - {None}
        if individuals and (None in train or 2 * len(individuals) > len(train)):
            notes.append(f"{how} gives every image of query and gallery an identity, but not those of train")
            continue
        notes.append(
            f"{len(known)} identities in query and gallery from {how}"
            + (f", {len(individuals)} in train" if individuals else "; train has none and needs none")
        )
        parts = [f"(?={'' if camera.startswith('^') else '.*?'}{camera})"] if camera else []
        parts.append(f"(?=.*?{text})" if individuals else f"(?:(?=.*?{text})|)")
        return "^" + "".join(parts), not all(identity and identity.isdecimal() for identity in known)
    notes.append(
        "query and gallery need identities, and none were recognized: name their files like 0012_….jpg, or write the "
        "spec with a pattern that says where names give them (group id)"
    )
    return camera, False


def _groups(pattern: str, group: str, names: list[str]) -> list[str | None]:
    compiled = Pattern(pattern)
    return [(compiled.search(name) or {}).get(group) for name in names]


def _size(paths: list[Path], notes: list[str]) -> tuple[int, int, Kind]:
    """Return height, width and kind by the shape of some images: near-square ones may show anything."""
    looked_at = paths[:: max(1, len(paths) // LOOKED_AT)]
    sizes = [size for path in looked_at if (size := read_size(path))]  # verifying names those that are broken
    if not sizes:
        raise UserError(f"{paths[0].parent}: none of its images can be read")
    ratio = median(high / wide for wide, high in sizes)
    heights = [high for _, high in sizes]
    kind: Kind = "person" if ratio >= UPRIGHT else "vehicle" if ratio <= 1 / UPRIGHT else "other"
    height, width = TALL if kind == "person" else SQUARE
    guess = "about as high as wide, so their kind is left open" if kind == "other" else f"taken for crops of {kind}s"
    high = f"{min(heights)} to {max(heights)}" if min(heights) < max(heights) else f"{heights[0]}"
    notes.append(f"images are {high} pixels high, {ratio:.1f} times their width: {guess}, resized to {height}×{width}")
    notes.append(
        "kind and image are guessed from that shape alone: change them in the spec where they are wrong. kind (person, "
        "vehicle or other) only says which labeled datasets can be sources"
    )
    return height, width, kind


def _kinds(folder: Path) -> str:
    suffixes = Counter(
        PurePosixPath(name).suffix.lower() or "no suffix"
        for name in files_below(folder)
        if not name.lower().endswith(SUFFIXES)
    )
    return ", ".join(f"{count} × {suffix}" for suffix, count in suffixes.most_common(5))
