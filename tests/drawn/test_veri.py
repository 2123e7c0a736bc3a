"""A drawn dataset of vehicles is a VeRi-776 folder."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.drawn.dataset import draw_dataset
from harness.drawn.schedule import Shot, schedule
from harness.drawn.spec import DrawnSpec
from harness.drawn.studio import Studio
from tests.drawn.conftest import make_spec

NAME = re.compile(r"(\d{4})_c(\d{3})_\d{8}_\d\.jpg")
VEHICLES: dict[str, Any] = {
    "kind": "vehicle",
    "domain": "traffic",
    "width": 64,
    "cameras": 20,
    "train": {"identities": 6, "cameras": [2, 5], "images": [1, 2]},
    "test": {"identities": 7, "cameras": [2, 6], "images": [2, 3]},
    "distractors": 0,
    "junk": 0,
}


@pytest.fixture(scope="module")
def spec() -> DrawnSpec:
    return make_spec(**VEHICLES)


@pytest.fixture(scope="module")
def folder(spec: DrawnSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn") / "traffic"
    draw_dataset(spec, folder)
    return folder


def lines(path: Path) -> list[str]:
    text = path.read_text("ascii")
    assert text.endswith("\n")
    return text.splitlines()


def parse(name: str) -> tuple[int, int]:
    match = NAME.fullmatch(name)
    assert match is not None, name
    return int(match[1]), int(match[2])


def test_the_layout_is_exact(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {
        "image_train",
        "image_query",
        "image_test",
        "name_train.txt",
        "name_query.txt",
        "name_test.txt",
        "train_label.xml",
        "test_label.xml",
        "gt_index.txt",
        "jk_index.txt",
    }
    for split in ("train", "query", "test"):
        names = lines(folder / f"name_{split}.txt")
        assert len(set(names)) == len(names)
        assert sorted(names) == sorted(path.name for path in (folder / f"image_{split}").iterdir())
        for name in names:
            parse(name)
            with Image.open(folder / f"image_{split}" / name) as image:
                assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (64, 64))


def test_queries_are_in_the_gallery_too(folder: Path) -> None:
    queries, gallery = lines(folder / "name_query.txt"), lines(folder / "name_test.txt")
    assert set(queries) < set(gallery)
    for name in queries:
        assert (folder / "image_query" / name).read_bytes() == (folder / "image_test" / name).read_bytes()
    assert not {parse(name)[0] for name in gallery} & {parse(name)[0] for name in lines(folder / "name_train.txt")}


def test_the_index_files_follow_the_protocol(folder: Path) -> None:
    queries, gallery = lines(folder / "name_query.txt"), lines(folder / "name_test.txt")
    good, junk = lines(folder / "gt_index.txt"), lines(folder / "jk_index.txt")
    assert len(good) == len(junk) == len(queries)
    for query, matches, ignored in zip(queries, good, junk, strict=True):
        identity, camera = parse(query)
        expected_good: list[int] = []
        expected_junk: list[int] = []
        for position, name in enumerate(gallery, start=1):
            other, seen = parse(name)
            if other == identity:
                (expected_junk if seen == camera else expected_good).append(position)
        assert [int(position) for position in matches.split()] == expected_good
        assert [int(position) for position in ignored.split()] == expected_junk
        assert expected_good
        assert gallery.index(query) + 1 in expected_junk


@pytest.mark.parametrize("split", ["train", "test"])
def test_labels_are_gb2312_and_agree_with_the_names(folder: Path, split: str) -> None:
    header, _, body = (folder / f"{split}_label.xml").read_bytes().decode("gb2312").partition("\n")
    assert header == '<?xml version="1.0" encoding="gb2312"?>'
    root = ET.fromstring(body)
    items = root.findall("./Items/Item")
    assert [item.get("imageName") for item in items] == lines(folder / f"name_{split}.txt")
    assert [element.get("number") for element in root] == [str(len(items))]
    looks: dict[int, set[tuple[str | None, str | None]]] = {}
    for item in items:
        assert set(item.attrib) == {"imageName", "vehicleID", "cameraID", "colorID", "typeID"}
        identity, camera = parse(item.attrib["imageName"])
        assert item.get("vehicleID") == f"{identity:04d}"
        assert item.get("cameraID") == f"c{camera:03d}"
        assert 1 <= int(item.attrib["colorID"]) <= 10
        assert 1 <= int(item.attrib["typeID"]) <= 9
        looks.setdefault(identity, set()).add((item.get("colorID"), item.get("typeID")))
    assert all(len(seen) == 1 for seen in looks.values())


def test_counts_follow_the_schedule(folder: Path, spec: DrawnSpec) -> None:
    shots = schedule(spec)
    for name, split in {"train": "train", "query": "query", "test": "gallery"}.items():
        expected = [(shot.identity, shot.camera) for shot in shots if shot.split == split]
        assert [parse(line) for line in lines(folder / f"name_{name}.txt")] == expected


def test_vehicles_show_their_color(spec: DrawnSpec) -> None:
    """The pixels at the centre of a vehicle's box follow its paint over the images of all cameras."""
    studio = Studio(spec)
    shots = [Shot("train", 1, subject, camera, 0) for subject in range(24) for camera in range(1, 9)]
    images = np.stack([studio.draw(shot) for shot in shots]).astype(float)
    center = images[:, 26:44, 18:46].mean((1, 2)).reshape(24, 8, 3).mean(1)
    paints = np.array([studio.vehicle(subject).paint.color for subject in range(24)])
    red_over_blue = center[:, 0] - center[:, 2]
    assert np.corrcoef(red_over_blue, paints[:, 0] - paints[:, 2])[0, 1] > 0.6


def test_the_same_spec_gives_the_same_bytes(folder: Path, spec: DrawnSpec, tmp_path: Path) -> None:
    draw_dataset(spec, tmp_path / "again")
    for path in folder.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "again" / path.relative_to(folder)).read_bytes()


@pytest.mark.parametrize("key", ["distractors", "junk"])
def test_veri_has_neither_distractors_nor_junk(key: str) -> None:
    with pytest.raises(ValueError, match="VeRi-776's layout has neither"):
        make_spec(**VEHICLES | {key: 1})
