"""Folders as people have them: links, copies side by side, words and time stamps in names."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.data import read_dataset, read_folder
from harness.data.prepare import prepare
from harness.data.reading import to_number
from harness.errors import UserError
from harness.importing.add import add_dataset
from harness.importing.sheet import sample_sheet
from harness.importing.verify import verify_dataset
from harness.specs import DatasetSpec
from tests.data.official import expecting_what_is_there, market, picture, shipped


def own(root: Path, pattern: str, **layout: object) -> DatasetSpec:
    """A spec of one's own for train/, query/ and gallery/ in `root`, without expected counts."""
    spec = shipped("market1501").model_dump(exclude={"expect"})
    spec["layout"] = {"train": "train", "query": "query", "gallery": "gallery", "pattern": pattern, **layout}
    return DatasetSpec.model_validate(spec)


def images(root: Path, *names: str) -> Path:
    for name in names:
        picture(root / name)
    return root


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


def linked(tmp_path: Path) -> Path:
    """Two of three identity folders are links: one to a folder inside, one (`outside`) beside the dataset."""
    root = tmp_path / "set"
    for split, ids in (("train", "ab"), ("query", "cd"), ("gallery", "cd")):
        images(root, *(f"{split}/{i}/{split}{camera}.jpg" for i in ids for camera in (1, 2)))
    (root / "store").mkdir()
    shutil.move(root / "train" / "b", root / "store" / "b")
    (root / "train" / "b").symlink_to("../store/b")
    return root


def test_linked_folders_inside_are_followed(tmp_path: Path, project: Path) -> None:
    root = linked(tmp_path)
    spec = own(root, r"^(?P<id>\w)/", named_ids=True)
    added = add_dataset(spec, root, project, workers=1)
    assert added.images == 12
    assert {record.path.as_posix() for record in read_dataset(spec, added.folder).train} == {
        f"train/{i}/train{camera}.jpg" for i in "ab" for camera in (1, 2)
    }


def test_links_that_lead_out_are_refused_by_name_and_nothing_is_copied(tmp_path: Path, project: Path) -> None:
    root = linked(tmp_path)
    (root / "notes.txt").symlink_to("/etc/passwd")
    outside = images(tmp_path / "disk", "e/train1.jpg")
    (root / "train" / "e").symlink_to(outside / "e")
    with pytest.raises(UserError, match=r"2 files are links.*notes.txt, train/e/train1.jpg.*cp -rL"):
        add_dataset(own(root, r"^(?P<id>\w)/", named_ids=True), root, project, workers=1)
    assert not (project / "data" / "raw").exists() or not list((project / "data" / "raw").iterdir())


@pytest.mark.parametrize("link", ["copy", "symlink"])
@pytest.mark.parametrize("kind", ["pipe", "loop", "dangling"])
def test_what_is_no_file_is_named(tmp_path: Path, project: Path, link: str, kind: str) -> None:
    root = linked(tmp_path)
    if kind == "pipe":
        os.mkfifo(root / "train" / "x.jpg")
    else:
        (root / "train" / "x.jpg").symlink_to("x.jpg" if kind == "loop" else "nowhere")
    with pytest.raises(UserError, match=r"train/x.jpg.*(named pipe|leads nowhere)"):
        add_dataset(own(root, r"^(?P<id>\w)/", named_ids=True), root, project, link, workers=1)  # type: ignore[arg-type]


def test_a_raw_folder_of_links_to_another_disk_is_read(tmp_path: Path, project: Path) -> None:
    """As DVC makes it with `cache.type symlink`, and `harness data add --link symlink`."""
    source = market(tmp_path / "disk")
    spec = expecting_what_is_there(shipped("market1501"), source)
    added = add_dataset(spec, source, project, "symlink", workers=1)
    assert all(path.is_symlink() for path in added.folder.rglob("*.jpg"))
    other = tmp_path / "other"
    other.mkdir()
    (project / "data" / "prepared").symlink_to(other)
    prepared = prepare(spec, added.folder, project / "data" / "prepared" / "market1501", workers=1)
    assert len(prepared.split("train")) == 3
    assert [path.name for path in other.iterdir()] == ["market1501"]


def test_of_two_folders_that_fit_none_is_guessed(tmp_path: Path, project: Path) -> None:
    for name in ("a", "b"):
        shutil.copytree(market(tmp_path / "source" / name), tmp_path / "both" / name)
    spec = expecting_what_is_there(shipped("market1501"), tmp_path / "both" / "a")
    with pytest.raises(
        UserError, match=r"several folders below it fit Market-1501: .*/both/a, .*/both/b; name the one"
    ):
        add_dataset(spec, tmp_path / "both", project, workers=1)
    assert add_dataset(spec, tmp_path / "both" / "b", project, workers=1).source == tmp_path / "both" / "b"


NAMES = [f"{split}/{{id}}_c{camera}_{{frame}}_{split}.jpg" for split in ("query", "gallery") for camera in (1, 2)]


def named(root: Path, identity: str, frame: str, train: str = "1") -> Path:
    images(root, *(name.format(id=identity, frame=frame) for name in NAMES))
    return images(root, *(f"train/{train}_c{camera}_7_t.jpg" for camera in (1, 2)))


def test_an_identity_of_23_digits_is_refused_with_the_remedy_and_read_as_a_word(tmp_path: Path) -> None:
    root = named(tmp_path, "2" * 23, "5")
    pattern = r"^(?P<id>\d+)_c(?P<camera>\d+)_(?P<frame>\d+)"
    with pytest.raises(UserError, match=r"numbers of at most 18 digits .*named_ids"):
        read_dataset(own(root, pattern), root)
    dataset = read_dataset(own(root, pattern, named_ids=True), root)
    assert [record.id for record in dataset.query] == [1, 1]


@pytest.mark.parametrize(("digits", "wanted"), [(18, 10**18 - 1), (21, None), (5000, None)])
def test_a_frame_that_does_not_fit_64_bits_is_left_out(tmp_path: Path, digits: int, wanted: int | None) -> None:
    root = tmp_path
    if digits == 5000:  # no file system has such names, but lists have
        assert to_number("9" * digits) is None
        return
    dataset = read_dataset(own(named(root, "2", "9" * digits), r"^(?P<id>\d+)_c(?P<camera>\d+)_(?P<frame>\d+)"), root)
    assert dataset.frames["query"] == (wanted, wanted)
    assert prepare(own(root, r"^(?P<id>\d+)_c(?P<camera>\d+)_(?P<frame>\d+)"), root, tmp_path / "out", workers=1)


def test_cameras_may_be_words(tmp_path: Path) -> None:
    for split, identity in (("train", 1), ("query", 2), ("gallery", 2)):
        images(tmp_path, *(f"{split}/{identity}_{camera}_{split}.jpg" for camera in ("yard", "gate", "hall")))
    pattern = r"^(?P<id>\d+)_(?P<camera>[a-z]+)_"
    with pytest.raises(UserError, match="named_cameras"):
        read_dataset(own(tmp_path, pattern), tmp_path)
    dataset = read_dataset(own(tmp_path, pattern, named_cameras=True), tmp_path)
    assert [(r.path.name, r.camera) for r in dataset.query] == [
        ("2_gate_query.jpg", 0), ("2_hall_query.jpg", 1), ("2_yard_query.jpg", 2)]  # fmt: skip


def test_one_camera_for_all_names_the_remedy(tmp_path: Path) -> None:
    for split in ("train", "query", "gallery"):
        images(tmp_path, *(f"{split}/{i + (split == 'train') * 5}_c1_{split}.jpg" for i in range(3)))
    found = verify_dataset(own(tmp_path, r"^(?P<id>\d+)_c(?P<camera>\d)"), tmp_path, workers=1)
    assert any("leave the group 'camera' out of the pattern" in text for text in found.at("error"))


def test_files_of_another_kind_are_named_with_what_is_wanted(tmp_path: Path) -> None:
    root = named(tmp_path, "2", "5")
    shutil.rmtree(root / "train")
    (root / "train").mkdir()
    for number in range(4):
        (root / "train" / f"{number}_c1.gif").write_bytes(b"GIF89a")
    found = verify_dataset(own(root, r"^(?P<id>\d+)_c(?P<camera>\d)"), root, workers=1)
    assert found.at("error")[0].startswith("train: no images: train holds 4 files with .gif; images end in .jpg, .jpeg")


def test_pgm_files_are_images(tmp_path: Path) -> None:
    root = named(tmp_path, "2", "5")
    for path in root.rglob("*.jpg"):
        Image.open(path).convert("L").save(path.with_suffix(".pgm"))
        path.unlink()
    assert len(read_dataset(own(root, r"^(?P<id>\d+)_c(?P<camera>\d)"), root).gallery) == 2


def test_a_pattern_that_does_not_end_is_stopped_and_named(tmp_path: Path) -> None:
    root = images(tmp_path, "train/" + "a" * 41 + "!.jpg", "query/1.jpg", "gallery/1.jpg")
    with pytest.raises(UserError, match=r"pattern .*takes more than 1 s for the name"):
        read_dataset(own(root, r"^(?P<id>(a|aa)+)$"), root)


def test_a_sheet_of_many_cameras_shows_each_identitys_own(tmp_path: Path) -> None:
    for split, first in (("train", 0), ("query", 5000), ("gallery", 5000)):
        images(tmp_path, *(f"{split}/{first + i // 2}_c{i}_{split}.jpg" for i in range(40)))
    spec = own(tmp_path, r"^(?P<id>\d+)_c(?P<camera>\d+)")
    dataset = read_dataset(spec, tmp_path)
    sheet = np.asarray(sample_sheet(spec, dataset, tmp_path))
    white = (sheet == 255).all(axis=(1, 2))
    shown = np.flatnonzero(~(sheet[16:, 48:] == 255).all(axis=(1, 2)))
    assert len(shown) > 6 * 128, white.sum()  # nearly every row has pictures


def test_own_data_is_not_called_published(tmp_path: Path, project: Path) -> None:
    root = named(tmp_path / "x", "1", "5")  # the identity is in train and test
    spec = own(root, r"^(?P<id>\d+)_c(?P<camera>\d)")
    with pytest.raises(UserError) as caught:
        add_dataset(spec, root, project, workers=1)
    assert "as published" not in str(caught.value)
    assert "cannot be used as it is" in str(caught.value)


def test_market_gt_bbox_is_read_by_the_datasets_own_pattern(tmp_path: Path) -> None:
    root = market(tmp_path)
    images(root / "gt_bbox", "0001_c1s1_001051_00.jpg", "0001_c1s1_001076_00.jpg", "-1_c3s1_000001_00.jpg")
    records = read_folder(shipped("market1501"), root, "gt_bbox")
    assert [(r.path.as_posix(), r.id, r.camera) for r in records] == [
        ("gt_bbox/0001_c1s1_001051_00.jpg", 1, 1),
        ("gt_bbox/0001_c1s1_001076_00.jpg", 1, 1),
    ]
