"""File names and lists of drawn datasets, in the layouts of Market-1501 (persons) and VeRi-776 (vehicles)."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from harness.drawn.schedule import JUNK, Shot
from harness.drawn.vehicles import TYPES, Vehicle

MARKET_FOLDERS = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}
VERI_FOLDERS = {"train": "image_train", "query": "image_query", "gallery": "image_test"}


def market_paths(shots: Sequence[Shot]) -> list[Path]:
    """Return the path of every image inside the dataset's folder, in the order of `shots`, as Market-1501 has it.

    A name is identity (-1 junk, 0000 distractors), camera, sequence, frame and box (00: cut by hand, as queries are).
    """
    seen: Counter[int] = Counter()
    paths = []
    for shot in shots:
        frame = 1 + 25 * seen[shot.camera]
        seen[shot.camera] += 1
        identity = "-1" if shot.identity == JUNK else f"{shot.identity:04d}"
        box = "00" if shot.split == "query" else "01"
        paths.append(Path(MARKET_FOLDERS[shot.split]) / f"{identity}_c{shot.camera}s1_{frame:06d}_{box}.jpg")
    return paths


def veri_paths(shots: Sequence[Shot]) -> list[Path]:
    """Return the path of every image inside the dataset's folder, in the order of `shots`, as VeRi-776 has it.

    A name is identity, camera, time and number, like `0001_c001_00016450_0.jpg`. A query keeps its name in the gallery.
    """
    seen: Counter[int] = Counter()
    names: dict[tuple[int, int, int], str] = {}
    paths = []
    for shot in shots:
        key = (shot.subject, shot.camera, shot.index)
        if key not in names:
            names[key] = f"{shot.identity:04d}_c{shot.camera:03d}_{1 + 25 * seen[shot.camera]:08d}_0.jpg"
            seen[shot.camera] += 1
        paths.append(Path(VERI_FOLDERS[shot.split]) / names[key])
    return paths


def veri_lists(shots: Sequence[Shot], paths: Sequence[Path], vehicle: Callable[[int], Vehicle]) -> dict[str, bytes]:
    """Return VeRi-776's text files by name: name lists, labels, and per query its matches and junk.

    `vehicle` returns a subject's color and type.
    """
    members: dict[str, list[tuple[Shot, str]]] = {"train": [], "query": [], "gallery": []}
    for shot, path in zip(shots, paths, strict=True):
        members[shot.split].append((shot, path.name))
    good, junk = _index_lists(members["query"], members["gallery"])
    return {
        "name_train.txt": _lines(name for _, name in members["train"]),
        "name_test.txt": _lines(name for _, name in members["gallery"]),
        "name_query.txt": _lines(name for _, name in members["query"]),
        "train_label.xml": _labels("TrainingImages", members["train"], vehicle),
        "test_label.xml": _labels("TestImages", members["gallery"], vehicle),
        "gt_index.txt": _lines(good),
        "jk_index.txt": _lines(junk),
    }


def _index_lists(query: list[tuple[Shot, str]], gallery: list[tuple[Shot, str]]) -> tuple[list[str], list[str]]:
    """Return, per query, the 1-based gallery positions of its matches (other cameras) and of its junk (own camera)."""
    positions: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for position, (shot, _) in enumerate(gallery, start=1):
        positions[shot.identity].append((position, shot.camera))
    good, junk = [], []
    for shot, _ in query:
        same = positions[shot.identity]
        good.append(" ".join(str(position) for position, camera in same if camera != shot.camera))
        junk.append(" ".join(str(position) for position, camera in same if camera == shot.camera))
    return good, junk


def _labels(root: str, members: list[tuple[Shot, str]], vehicle: Callable[[int], Vehicle]) -> bytes:
    lines = ['<?xml version="1.0" encoding="gb2312"?>', f'<{root} Version="1.0">', f'  <Items number="{len(members)}">']
    for shot, name in members:
        drawn = vehicle(shot.subject)
        lines.append(
            f'    <Item imageName="{name}" vehicleID="{shot.identity:04d}" cameraID="c{shot.camera:03d}" '
            f'colorID="{drawn.paint.number}" typeID="{TYPES[drawn.body.type]}" />'
        )
    lines += ["  </Items>", f"</{root}>"]
    return ("\n".join(lines) + "\n").encode("gb2312")


def _lines(entries: Iterable[str]) -> bytes:
    return "".join(f"{entry}\n" for entry in entries).encode("ascii")
