"""A spec for a folder of one's own: proposed in words, written on yes, valid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ruamel.yaml import YAML

from harness.data.reading import read_dataset
from harness.errors import UserError
from harness.importing.propose import propose
from harness.specs import Registry
from harness.specs.dataset import DatasetSpec
from tests.specs.conftest import small, specs
from tests.test_cli import Command, harness, project

__all__ = ["harness", "project", "small", "specs"]


def crops(folder: Path, names: list[str], size: tuple[int, int] = (20, 50)) -> Path:
    rng = np.random.default_rng(0)
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), np.uint8)).save(path)
    return folder


WORDS = [f"{camera}/{number}.png" for camera in ("gate", "yard") for number in range(3)]


def test_folders_become_cameras_and_what_is_missing_is_said(harness: Command, project: Path, tmp_path: Path) -> None:
    folder = crops(tmp_path / "crops", WORDS)
    (folder / "notes.txt").touch()
    before = sorted(project.rglob("*"))
    code, out, err = harness(project, "data", "add", "own", str(folder))
    assert code == 1
    assert "nothing was written; say yes, give --yes" in err
    for said in (
        "6 images: 6 train", "2 cameras from the first folder: gate, yard",
        "nothing to evaluate on: figures without labels only, no mAP; add query and gallery folders",
        "no images, left out: 1 × .txt",
        "taken for crops of persons, resized to 128×64",
    ):  # fmt: skip
        assert said in out
    assert sorted(project.rglob("*")) == before
    code, out, err = harness(project, "data", "add", "own", str(folder), "--yes")
    assert code == 0
    assert "only 6 training images: clustering needs hundreds" in out
    assert "no query and gallery: runs get label-free figures, never an mAP" in out
    spec = Registry.load(project).checked().dataset("own")
    assert not spec.labeled
    assert not spec.evaluated
    data = read_dataset(spec, project / "data" / "raw" / "own")
    assert [record.camera for record in data.train] == [0, 0, 0, 1, 1, 1]
    assert {record.id for record in data.train} == {-1}
    assert not data.query


def test_two_readings_are_both_named(tmp_path: Path) -> None:
    found = propose("own", crops(tmp_path, [f"{day}/c{camera}_1.png" for day in ("mon", "tue") for camera in (1, 2)]))
    assert any(note.startswith("2 cameras from a token like c3") for note in found.notes)
    assert any(note.startswith("the first folder would fit too, with 2 cameras") for note in found.notes)
    assert "named_cameras" not in found.text


def test_one_camera_and_none(tmp_path: Path) -> None:
    assert any(
        "one camera only" in note for note in propose("a", crops(tmp_path / "a", ["c1_1.png", "c1_2.png"])).notes
    )
    assert any("no camera was recognized" in note for note in propose("b", crops(tmp_path / "b", ["1.png"])).notes)
    data = read_dataset(
        DatasetSpec.model_validate(YAML(typ="safe").load(propose("b", tmp_path / "b").text)), tmp_path / "b"
    )
    assert (len(data.train), data.has_cameras, data.has_ids) == (1, False, False)


SUBSETS = {
    "numbers before an underscore": (
        ["train/gate/0001.png", "train/yard/0002.png", "query/gate/0012_1.png", "gallery/yard/0012_2.png",
         "gallery/gate/0013_4.png"],
        "2 identities in query and gallery from the number that file names begin with; train has none and needs none",
        [-1, -1, 12, 12, 13],
    ),
    "folders that are words": (
        ["train/c1_1.png", "train/c2_2.png", "query/ann/c1_1.png", "gallery/ann/c2_2.png", "gallery/bo/c1_1.png"],
        "2 identities in query and gallery from the picture's own folder; train has none and needs none",
        [-1, -1, 0, 0, 1],
    ),
    "the training images' too": (
        ["train/0001_c1_1.png", "train/0001_c2_2.png", "query/0012_c1_1.png", "gallery/0012_c2_2.png",
         "gallery/0013_c1_1.png"],
        "2 identities in query and gallery from the number that file names begin with, 1 in train",
        [1, 1, 12, 12, 13],
    ),
    "numbers that mean something else in train": (
        ["train/0001_c1_1.png", "train/0002_c2_2.png", "query/0012_c1_1.png", "gallery/0012_c2_2.png",
         "gallery/0013_c1_1.png"],
        "the number that file names begin with gives every image of query and gallery an identity, but not those of "
        "train",
        None,
    ),
    "nothing": (
        ["train/c1_1.png", "train/c2_2.png", "query/c1_1.png", "gallery/c2_2.png", "gallery/c1_3.png"],
        "query and gallery need identities, and none were recognized: name their files like 0012_….jpg, or write the "
        "spec with a pattern that says where names give them (group id)",
        None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", SUBSETS)
def test_a_labeled_subset_is_recognized(tmp_path: Path, form: str) -> None:
    names, said, identities = SUBSETS[form]
    found = propose("own", crops(tmp_path, names))
    assert said in found.notes
    assert any(note.startswith("2 cameras from") for note in found.notes)
    spec = DatasetSpec.model_validate(YAML(typ="safe").load(found.text))
    assert spec.evaluated
    if identities is None:
        with pytest.raises(UserError, match="image names give no identity"):
            read_dataset(spec, tmp_path)
        return
    data = read_dataset(spec, tmp_path)
    records = {record.path.as_posix(): record for record in (*data.train, *data.query, *data.gallery)}
    assert [records[name].id for name in names] == identities
    assert {record.camera for record in data.train} == {record.camera for record in data.gallery}
    assert len({record.camera for record in data.gallery}) == 2


def labels(folder: Path, *rows: str) -> Path:
    (folder / "labels.csv").write_text("\n".join(rows))
    return folder


def test_a_file_of_labels_is_recognized(harness: Command, project: Path, tmp_path: Path) -> None:
    names = ["a.png", "b.png", "sub/c.png", "d.png", "e.png", "f.png"]
    folder = labels(
        crops(tmp_path / "crops", names), "path,identity,camera,split", "a.png,,gate,train", "b.png,,yard,train",
        "sub/c.png,ann,gate,query", "d.png,ann,yard,gallery", "e.png,bo,yard,gallery", "f.png,bo,yard,later",
    )  # fmt: skip
    (folder / "pairs.csv").write_text("a,b,same\n")
    code, out, err = harness(project, "data", "add", "own", str(folder), "--yes")
    assert (code, "no list names them: ./f.png" in err) == (1, True)
    code, out, err = harness(project, "data", "add", "own", str(folder), "--yes", "--allow-mismatch")
    assert code == 0, err
    for said in (
        "5 images named by labels.csv: 2 train, 1 query, 2 gallery", "2 cameras from the file of labels",
        "2 identities from the file of labels", "no file of labels: pairs.csv:1: has no column 'path'",
        "1 rows of labels.csv are of no split called train, query, gallery",
    ):  # fmt: skip
        assert said in out
    data = read_dataset(Registry.load(project).checked().dataset("own"), project / "data" / "raw" / "own")
    assert [(record.id, record.camera) for record in (*data.train, *data.query, *data.gallery)] == [
        (-1, 0), (-1, 1), (0, 0), (0, 1), (1, 1),
    ]  # fmt: skip


def test_a_file_of_labels_without_cameras_and_splits(tmp_path: Path) -> None:
    folder = labels(crops(tmp_path, WORDS), "path", *WORDS)
    found = propose("own", folder)
    assert "6 images named by labels.csv: 6 train" in found.notes
    assert "2 cameras from the first folder: gate, yard" in found.notes
    assert any("add rows whose split is query and gallery to get one" in note for note in found.notes)
    data = read_dataset(DatasetSpec.model_validate(YAML(typ="safe").load(found.text)), folder)
    assert ({record.camera for record in data.train}, data.has_ids) == ({0, 1}, False)
    (folder / "more.csv").write_text("path\ngate/0.png\n")
    with pytest.raises(UserError, match=r"labels\.csv, more\.csv each name images; leave the one there that is meant"):
        propose("own", folder)


SHAPES = {
    (20, 50): ("person", "{height: 128, width: 64}", "2.5 times their width: taken for crops of persons, resized"),
    (60, 30): ("vehicle", "{height: 96, width: 96}", "0.5 times their width: taken for crops of vehicles, resized"),
    (92, 112): ("other", "{height: 96, width: 96}", "1.2 times their width: about as high as wide, so their kind is"),
    (110, 100): ("other", "{height: 96, width: 96}", "0.9 times their width: about as high as wide, so their kind is"),
}


@pytest.mark.parametrize("size", SHAPES)
def test_the_shape_of_crops_says_what_they_show_or_that_it_does_not(tmp_path: Path, size: tuple[int, int]) -> None:
    kind, image, said = SHAPES[size]
    found = propose("own", crops(tmp_path, WORDS, size))
    spec = YAML(typ="safe").load(found.text)
    assert (spec["kind"], spec["image"]) == (kind, YAML(typ="safe").load(image))
    assert any(note.startswith(f"images are {size[1]} pixels high, {said}") for note in found.notes)
    assert any("kind and image are guessed from that shape alone: change them in the spec" in n for n in found.notes)


def test_one_camera_is_said_when_it_is_added_and_verified(harness: Command, project: Path, tmp_path: Path) -> None:
    folder = crops(tmp_path / "crops", [f"c1_{number}.png" for number in range(3)])
    spec = (project / "datasets" / "own.yaml", propose("own", crops(tmp_path / "two", ["c1_1.png", "c2_2.png"])).text)
    spec[0].write_text(spec[1])  # the pattern that gives cameras; in these pictures they are all the same one
    code, out, err = harness(project, "data", "add", "own", str(folder))
    assert code == 0, err
    assert "one camera only: there is nothing to adapt across" in out
    code, out, _ = harness(project, "data", "verify", "own")
    assert code == 0
    assert "one camera only: there is nothing to adapt across" in out


def test_mixed_sizes_are_taken_and_an_enormous_picture_is_named(
    harness: Command, project: Path, tmp_path: Path
) -> None:
    folder = crops(tmp_path / "crops", ["c1_1.png", "c2_2.png"], (20, 20))
    Image.new("L", (1600, 8000), 7).save(folder / "c1_3.png")
    Image.effect_noise((300, 400), 80).convert("CMYK").save(folder / "c2_4.jpg")
    assert any(note.startswith("images are 20 to 8000 pixels high") for note in propose("own", folder).notes)
    code, _, err = harness(project, "data", "add", "own", str(folder), "--yes")
    assert code == 0, err
    data = read_dataset(Registry.load(project).checked().dataset("own"), project / "data" / "raw" / "own")
    assert len(data.train) == 4
    Image.new("L", (8000, 8000), 7).save(folder / "c1_5.png")
    code, _, err = harness(project, "data", "add", "huge", str(folder), "--yes")
    assert code == 1
    assert "1 images cannot be used" in err
    assert "c1_5.png" in err
    assert not (project / "datasets" / "huge.yaml").exists()
    assert not (project / "data" / "raw" / "huge").exists()


def test_what_is_no_dataset(harness: Command, project: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "phone").mkdir()
    (tmp_path / "phone" / "a.heic").touch()
    same = crops(tmp_path / "same", ["c1_1.png"])
    for number in range(2, 5):
        (same / f"c2_{number}.png").write_bytes((same / "c1_1.png").read_bytes())
    half = crops(tmp_path / "half", ["train/1.png", "query/1.png"])
    wrong = {
        "empty": "holds no image", "phone": "holds no image (1 × .heic)", "nowhere": "is no folder from which a spec",
        "half": "has train, query, but a dataset has train alone, or train, query and gallery",
    }  # fmt: skip
    for name, said in wrong.items():
        code, _, err = harness(project, "data", "add", "own", str(tmp_path / name), "--yes")
        assert code == 1
        assert said in err
        assert not (project / "datasets" / "own.yaml").exists()
    assert half.exists()
    code, _, err = harness(project, "data", "add", "own", str(same), "--yes")
    assert code == 1
    assert not (project / "datasets" / "own.yaml").exists()
    assert "all 4 images are copies of one: there is nothing to learn from them" in err
    code, _, err = harness(project, "data", "add", "My_Own", str(same), "--yes")
    assert "'My_Own' is not a valid name" in err
