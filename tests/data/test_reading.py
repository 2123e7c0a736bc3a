import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data import ImageRecord, read_dataset
from harness.data.reading import recognize
from harness.errors import UserError
from tests.data.official import duke, example, market, msmt17, msmt17_repacked, picture, shipped, veri


def rows(records):
    return [(record.path.as_posix(), record.id, record.camera) for record in records]


def test_market(tmp_path):
    dataset = read_dataset(shipped("market1501"), market(tmp_path))
    assert rows(dataset.train) == [
        ("bounding_box_train/0002_c1s1_000451_03.jpg", 2, 1),
        ("bounding_box_train/0002_c2s1_000776_01.jpg", 2, 2),
        ("bounding_box_train/0007_c3s3_077419_02.jpg", 7, 3),
    ]
    assert rows(dataset.query) == [
        ("query/0001_c1s1_001051_00.jpg", 1, 1),
        ("query/0003_c6s4_015641_00.jpg", 3, 6),
    ]
    assert rows(dataset.gallery) == [  # junk -1 dropped, distractor 0000 kept, Thumbs.db no image
        ("bounding_box_test/0000_c1s1_000151_01.jpg", 0, 1),
        ("bounding_box_test/0001_c1s1_001051_03.jpg", 1, 1),
        ("bounding_box_test/0001_c2s1_001976_01.jpg", 1, 2),
        ("bounding_box_test/0003_c1s6_015971_02.jpg", 3, 1),
    ]
    assert dataset.dropped == {"train": 0, "query": 0, "gallery": 2}
    assert dataset.frames["train"] == (451, 776, 77419)
    assert dataset.has_cameras


def test_the_outer_folder_of_an_archive_may_be_given(tmp_path):
    dataset = read_dataset(shipped("market1501"), market(tmp_path).parent)
    path, identity, camera = dataset.query[0]
    assert (path, identity, camera) == (Path("Market-1501-v15.09.15/query/0001_c1s1_001051_00.jpg"), 1, 1)
    assert isinstance(dataset.query[0], ImageRecord)


def test_duke(tmp_path):
    dataset = read_dataset(shipped("dukemtmc"), duke(tmp_path))
    assert rows(dataset.gallery) == [
        ("bounding_box_test/0005_c5_f0051781.jpg", 5, 5),
        ("bounding_box_test/0008_c8_f0027004.jpg", 8, 8),
        ("bounding_box_test/7139_c2_f0165467.jpg", 7139, 2),
    ]
    assert dataset.frames["query"] == (46985, 26318)


@pytest.mark.parametrize(
    ("train", "test", "line_end", "name"),
    [
        ("train", "test", "\n", "MSMT17_V1"),
        ("train", "test", "\r\n", "MSMT17_V1"),
        ("mask_train_v2", "mask_test_v2", "\n", "MSMT17_V2 (blurred faces)"),
    ],
)
def test_msmt17_lists(tmp_path, train, test, line_end, name):
    dataset = read_dataset(shipped("msmt17"), msmt17(tmp_path, train, test, line_end))
    assert rows(dataset.train) == [  # list_val joins list_train
        (f"{train}/0000/0000_000_01_0303morning_0008_0.jpg", 0, 1),
        (f"{train}/0000/0000_013_04_0303morning_0020_2.jpg", 0, 4),
        (f"{train}/0001/0001_001_14_0303noon_0015_1_ex.jpg", 1, 14),
    ]
    assert rows(dataset.query) == [  # 1,041 training identities, then the test's own
        (f"{test}/0000/0000_002_01_0303morning_0016_2.jpg", 1041, 1),
        (f"{test}/0001/0001_005_15_0302afternoon_1475_1.jpg", 1042, 15),
    ]
    assert rows(dataset.gallery) == [
        (f"{test}/0000/0000_009_07_0303morning_0019_0.jpg", 1041, 7),
        (f"{test}/0001/0001_000_03_0113noon_0438_0.jpg", 1042, 3),
    ]
    assert dataset.arrangement == name
    assert dataset.frames["train"] == (8, 20, 15)


def test_msmt17_train_only_leaves_list_val_out(tmp_path):
    dataset = read_dataset(shipped("msmt17-train-only"), msmt17(tmp_path))
    assert [record.path.name for record in dataset.train] == [
        "0000_000_01_0303morning_0008_0.jpg",
        "0001_001_14_0303noon_0015_1_ex.jpg",
    ]


def test_msmt17_repacked_like_market(tmp_path):
    dataset = read_dataset(shipped("msmt17"), msmt17_repacked(tmp_path))
    assert rows(dataset.train) == [
        ("bounding_box_train/0000_c14_0030.jpg", 0, 14),
        ("bounding_box_train/0000_c1_0000.jpg", 0, 1),
        ("bounding_box_train/0781_c11_0015.jpg", 781, 11),
    ]
    assert rows(dataset.query) == [("query/0000_c1_0002.jpg", 1041, 1), ("query/0001_c15_0005.jpg", 1042, 15)]
    assert rows(dataset.gallery) == [
        ("bounding_box_test/0000_c7_0009.jpg", 1041, 7),
        ("bounding_box_test/0001_c3_0000.jpg", 1042, 3),
    ]
    assert dataset.arrangement.startswith("repacked like Market-1501")


@pytest.mark.parametrize("other", [market, duke])
def test_other_datasets_in_those_folders_are_not_taken_for_msmt17(tmp_path, other):
    with pytest.raises(UserError, match=r"this is not MSMT17.*does not fit"):
        read_dataset(shipped("msmt17"), other(tmp_path))


def test_veri(tmp_path):
    dataset = read_dataset(shipped("veri776"), veri(tmp_path))
    assert rows(dataset.train) == [
        ("image_train/0001_c001_00016450_0.jpg", 1, 1),
        ("image_train/0001_c020_00016460_1.jpg", 1, 20),
        ("image_train/0003_c002_00016900_0.jpg", 3, 2),
    ]
    assert rows(dataset.query) == [
        ("image_query/0002_c002_00030600_0.jpg", 2, 2),
        ("image_query/0005_c003_00077625_0.jpg", 5, 3),
    ]
    assert len(dataset.gallery) == 5
    assert dataset.frames["query"] == (30600, 77625)


def test_veri_without_its_label_files(tmp_path):
    root = veri(tmp_path)
    labeled = read_dataset(shipped("veri776"), root)
    (root / "train_label.xml").unlink()
    plain = read_dataset(shipped("veri776"), root)
    assert plain.arrangement == "without label files"
    assert plain.splits == labeled.splits


@pytest.fixture
def own(tmp_path):
    """The example spec of docs/, and a folder split/identity/image.jpg."""
    root = tmp_path / "images"
    for name in ("train/zoë/1 a.jpg", "train/anna/2.jpg", "query/bob/3.png", "gallery/bob/4.jpeg"):
        picture(root / name)
    return example(tmp_path), root


def test_own_dataset_without_cameras_and_with_named_identities(own):
    spec, root = own
    dataset = read_dataset(spec, root)
    assert rows(dataset.train) == [("train/anna/2.jpg", 0, -1), ("train/zoë/1 a.jpg", 2, -1)]
    assert rows(dataset.query) == [("query/bob/3.png", 1, -2)]  # never the gallery's camera: nothing is removed
    assert rows(dataset.gallery) == [("gallery/bob/4.jpeg", 1, -1)]
    assert not dataset.has_cameras


def test_another_dataset_in_the_same_folders_is_recognized_as_such(tmp_path):
    with pytest.raises(UserError, match=r"not Market-1501.*the name '0001_c2_f0046182.jpg' does not fit"):
        read_dataset(shipped("market1501"), duke(tmp_path))


def test_a_strange_folder_says_what_was_expected_and_found(tmp_path):
    (tmp_path / "holiday").mkdir()
    with pytest.raises(UserError, match=r"not MSMT17.*list_train.txt.*MSMT17_V2.*Found: holiday"):
        read_dataset(shipped("msmt17"), tmp_path)
    with pytest.raises(UserError, match="no such folder; MSMT17 is added with: harness data add msmt17 PATH"):
        read_dataset(shipped("msmt17"), tmp_path / "nowhere")


def test_names_that_do_not_parse_are_counted_and_shown(tmp_path):
    root = market(tmp_path)
    for name in ("copy of 1.jpg", "selfie.jpg"):
        picture(root / "query" / name)
    with pytest.raises(UserError, match=r"query: 2 image names give no identity or camera, for example copy of 1\.jpg"):
        read_dataset(shipped("market1501"), root)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("../../etc/passwd.jpg 3", r"list_query.txt:3: '../../etc/passwd.jpg' leads out"),
        ("/etc/passwd.jpg 3", r"list_query.txt:3: '/etc/passwd.jpg' leads out"),
        ("no image here", r"list_query.txt:3: expected 'path identity', found 'no image here'"),
        ("0003/0003_000_01_0303morning_0008_0.jpg three", r"1 image names give no identity"),
    ],
)
def test_a_bad_line_of_a_list_is_named(tmp_path, line, message):
    root = msmt17(tmp_path)
    with (root / "list_query.txt").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(UserError, match=message):
        read_dataset(shipped("msmt17"), root)


def test_list_entries_may_hold_spaces_and_other_scripts(tmp_path):
    root = msmt17(tmp_path)
    name = "0002/0002_000_03_0303morning_0008_0 копия 副本.jpg"
    with (root / "list_train.txt").open("a", encoding="utf-8") as file:
        file.write(f"{name} 2\n\n")
    dataset = read_dataset(shipped("msmt17"), root)
    assert rows(dataset.train)[-1] == (f"train/{name}", 2, 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a/>', "declares XML entities"),
        (b"<Items><Item", "not a readable label file"),
        (b'<?xml version="1.0" encoding="klingon"?><a/>', "not a readable label file"),
        ('<?xml version="1.0" encoding="utf-8"?><!-- 车 --><a/>'.encode("gb2312"), "not a readable label file"),
    ],
)
def test_bad_label_files(tmp_path, content, message):
    root = veri(tmp_path)
    (root / "test_label.xml").write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_dataset(shipped("veri776"), root)


@pytest.mark.parametrize("folder", ["Market-1501-v15.09.15", "Market-1501-v15.09.15/query"])
def test_an_unreadable_folder_is_named(tmp_path, unreadable, folder):
    root = market(tmp_path)
    unreadable(tmp_path / folder)
    with pytest.raises(UserError, match=rf"{folder}.*: cannot be read: Permission denied; check"):
        read_dataset(shipped("market1501"), root)


NAME = re.compile(shipped("market1501").layout.pattern)


@given(st.integers(1, 1501), st.integers(1, 6), st.integers(1, 6), st.integers(0, 999999), st.integers(0, 20))
def test_market_names_round_trip(identity, camera, sequence, frame, box):
    match = NAME.search(f"{identity:04d}_c{camera}s{sequence}_{frame:06d}_{box:02d}.jpg")
    assert (int(match["id"]), int(match["camera"]), int(match["frame"])) == (identity, camera, frame)


@given(st.text(alphabet="0123456789-_cs.jpg é", max_size=30))
def test_only_whole_market_names_parse(text):
    match = NAME.search(text)
    assert match is None or text.startswith(f"{match['id']}_c{match['camera']}s")


def test_hidden_files_and_resource_forks_are_no_images(tmp_path):
    root = market(tmp_path)
    (root / "query" / "._0001_c1s1_001051_00.jpg").write_bytes(b"\0\5\x16\7")
    (tmp_path / "__MACOSX" / "Market-1501-v15.09.15").mkdir(parents=True)
    base, _ = recognize(shipped("market1501"), tmp_path)
    assert base == root
    assert len(read_dataset(shipped("market1501"), root).query) == 2
