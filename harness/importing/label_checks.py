"""Checks of file names and labels; no image is opened."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from harness.data.listing import list_images, read_xml
from harness.data.reading import to_number, unlisted
from harness.data.records import Dataset, ImageRecord
from harness.importing.findings import Finding, some
from harness.inputs.folders import files_below
from harness.inputs.images import SUFFIXES
from harness.inputs.patterns import Pattern
from harness.specs.dataset import Counts, DatasetSpec
from harness.specs.layout import Arrangement

FEW = 100
"""Training images below which a warning is due."""
QUANTITIES = ("images", "ids", "cameras")


def check_labels(spec: DatasetSpec, dataset: Dataset, base: Path, arrangement: Arrangement) -> Iterator[Finding]:
    """Compare counts with the spec, then look for labels that would make an evaluation wrong."""
    if spec.access.withdrawn:
        yield Finding("notice", f"withdrawn: {spec.access.withdrawn}")
    if spec.layout.alternatives:
        yield Finding("notice", f"distribution: {arrangement.name}")
    yield from _counts(spec, dataset, base, arrangement)
    yield from _unlabeled(dataset)
    yield from _identities(spec, dataset)
    yield from _cameras(spec, dataset)
    yield from _matches(dataset)
    yield from _names(dataset)
    yield from _label_sources(spec, base, arrangement)
    if stray := unlisted(base, arrangement):
        yield Finding("difference", f"{len(stray)} images lie in the folders, but no list names them: {some(stray)}")
    for split, count in dataset.dropped.items():
        if count:
            yield Finding("notice", f"{split}: {count} images of junk identities {list(spec.junk_ids)} are left out")


def _unlabeled(dataset: Dataset) -> Iterator[Finding]:
    """Say what a dataset without identities, or with very few images, allows."""
    if not dataset.has_ids:
        yield Finding("notice", "training images have no identities: supervised and source training are impossible")
    if not dataset.query and not dataset.gallery:
        yield Finding("notice", "no query and gallery: runs get label-free figures, never an mAP")
    if dataset.has_cameras and len({record.camera for record in dataset.train}) == 1:
        yield Finding("notice", "one camera only: there is nothing to adapt across")
    if 0 < len(dataset.train) < FEW:
        yield Finding("notice", f"only {len(dataset.train)} training images: clustering needs hundreds")


def count(records: Iterable[ImageRecord], has_cameras: bool) -> Counts:
    """Return the number of images, identities and cameras; None for cameras without labels."""
    records = list(records)
    cameras = len({record.camera for record in records}) if has_cameras else None
    return Counts(images=len(records), ids=len({record.id for record in records}), cameras=cameras)


def _counts(spec: DatasetSpec, dataset: Dataset, base: Path, arrangement: Arrangement) -> Iterator[Finding]:
    for split in arrangement.splits:
        if not dataset.splits[split]:
            folder = arrangement.splits[split].folder
            kinds = Counter(PurePosixPath(name).suffix or "no suffix" for name in files_below(base / folder))
            seen = ", ".join(f"{number} files with {suffix}" for suffix, number in kinds.most_common(3))
            hint = f": {folder} holds {seen}; images end in {', '.join(SUFFIXES)}" if seen else ""
            yield Finding("error", f"{split}: no images{hint}")
    if spec.expect is None:
        yield Finding("notice", "the spec states no expected counts, so there are none to compare with")
        return
    for split, records in dataset.splits.items():
        found = count(records, dataset.has_cameras)
        wanted: Counts = getattr(spec.expect, split)
        if not (wrong := _mismatch(found, wanted)):
            continue
        known = [
            name
            for name, splits in spec.expect.alternatives.items()
            if split in splits and not _mismatch(found, splits[split])
        ]
        if known:
            text = f"{split}: {found.images} images of {found.ids} identities: the distribution known as '{known[0]}'"
            yield Finding("notice", f"{text}, not the official one ({wanted.images} images of {wanted.ids})")
        else:
            yield Finding("difference", f"{split}: {'; '.join(wrong)}")


def _mismatch(found: Counts, wanted: Counts) -> list[str]:
    pairs = [(name, getattr(found, name), getattr(wanted, name)) for name in QUANTITIES]
    return [
        f"{have} {name}, expected {want} ({abs(have - want)} {'missing' if have < want else 'too many'})"
        for name, have, want in pairs
        if have is not None and want is not None and have != want
    ]


def _identities(spec: DatasetSpec, dataset: Dataset) -> Iterator[Finding]:
    train = {record.id: record for record in reversed(dataset.train)}
    common = [record for record in (*dataset.query, *dataset.gallery) if record.id in train]
    common = [record for record in common if record.id not in spec.distractor_ids]
    if common:
        ids = sorted({record.id for record in common})
        pairs = [f"{i} ({train[i].path.as_posix()} and {_first(common, i)})" for i in ids]
        yield Finding("difference", f"{len(ids)} identities are in both train and test: {some(pairs)}")


def _first(records: Iterable[ImageRecord], identity: int) -> str:
    return next(record.path.as_posix() for record in records if record.id == identity)


def _cameras(spec: DatasetSpec, dataset: Dataset) -> Iterator[Finding]:
    if not dataset.has_cameras:
        yield Finding(
            "notice",
            "no camera labels: nothing in the gallery is removed for sharing a query's camera, so scores include easy"
            " matches from the same camera and do not compare with those of datasets that have cameras",
        )
        return
    if spec.layout.cameras is None:
        return
    first, last = spec.layout.cameras
    for split, records in dataset.splits.items():
        outside = [r.path.as_posix() for r in records if not first <= r.camera <= last]
        if outside:
            text = f"{split}: {len(outside)} images are of cameras outside {first} to {last}: {some(outside)}"
            yield Finding("difference", text)


def _matches(dataset: Dataset) -> Iterator[Finding]:
    """Report queries without a correct gallery image; they are left out of the scores."""
    cameras = defaultdict(set)
    for record in dataset.gallery:
        cameras[record.id].add(record.camera)
    lost = [record.path.as_posix() for record in dataset.query if not cameras[record.id] - {record.camera}]
    if lost:
        elsewhere = " under another camera" if dataset.has_cameras else ""
        text = f"{len(lost)} of {len(dataset.query)} queries have no image of their identity in the gallery{elsewhere}"
        if dataset.has_cameras and len({record.camera for record in (*dataset.query, *dataset.gallery)}) == 1:
            text += " (all images are of one camera: leave the group 'camera' out of the pattern)"
        yield Finding("error" if len(lost) == len(dataset.query) else "notice", f"{text}: {some(lost)}")


def _names(dataset: Dataset) -> Iterator[Finding]:
    for split, records in dataset.splits.items():
        repeated = [path.as_posix() for path, times in Counter(r.path for r in records).items() if times > 1]
        if repeated:
            yield Finding("difference", f"{split}: {len(repeated)} images are listed more than once: {some(repeated)}")
    paths = sorted({record.path.as_posix() for records in dataset.splits.values() for record in records})
    folded = defaultdict(list)
    for path in paths:
        folded[path.casefold()].append(path)
    clashes = [" and ".join(same) for same in folded.values() if len(same) > 1]
    if clashes:
        text = f"{len(clashes)} names differ only in case, which some file systems cannot tell apart: {some(clashes)}"
        yield Finding("difference", text)


def _label_sources(spec: DatasetSpec, base: Path, arrangement: Arrangement) -> Iterator[Finding]:
    """Compare labels from lists and XML with those in file names, where both exist."""
    pattern = Pattern(arrangement.pattern)
    for split, part in arrangement.splits.items():
        listed = list_images(base, part)
        contradicted = []
        for entry in listed:
            in_name = pattern.search(entry.name) or {}
            for group, stated, words in (
                ("id", entry.id, spec.layout.named_ids),
                ("camera", entry.camera, spec.layout.named_cameras),
            ):
                said = in_name.get(group)
                if stated and said and not _same(stated, said, words):
                    contradicted.append(f"{entry.name} ({group} {in_name[group]}, but {stated} in {entry.stated_in})")
        if contradicted:
            text = f"{split}: {len(contradicted)} names contradict their labels: {some(contradicted)}"
            yield Finding("difference", text)
        if part.xml:
            labeled = read_xml(base / part.xml)
            missing = [entry.name for entry in listed if entry.name not in labeled]
            if missing:
                yield Finding("notice", f"{split}: {len(missing)} images have no entry in {part.xml}: {some(missing)}")


def _same(one: str, other: str, words: bool) -> bool:
    return one == other if words else to_number(one) == to_number(other)
