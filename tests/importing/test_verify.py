import shutil

import numpy as np
import pytest
from PIL import Image

from harness.data.manifest import write_manifest
from harness.errors import UserError
from harness.importing.verify import MANIFEST, verify_dataset
from harness.specs.dataset import Counts
from tests.data.official import (
    MSMT17,
    VERI,
    duke,
    expecting_what_is_there,
    market,
    msmt17,
    msmt17_repacked,
    picture,
    shipped,
    veri,
    veri_xml,
)

MAKE = {"market1501": market, "dukemtmc": duke, "msmt17": msmt17, "msmt17-train-only": msmt17, "veri776": veri}


def verified(name, root, spec=None):
    return verify_dataset(spec or expecting_what_is_there(shipped(name), root), root, workers=1)


@pytest.fixture
def market_root(tmp_path):
    return market(tmp_path)


@pytest.mark.parametrize("name", MAKE)
def test_what_is_as_published_has_no_differences(tmp_path, name):
    found = verified(name, MAKE[name](tmp_path))
    assert found.at("error", "difference") == []
    assert found.ok


def test_manifest_states_labels_sizes_and_contents(market_root):
    rows = verified("market1501", market_root).manifest.to_pylist()
    first = rows[0]
    assert first["path"] == "bounding_box_train/0002_c1s1_000451_03.jpg"
    assert (first["identity"], first["camera"], first["frame"], first["split"]) == (2, 1, 451, "train")
    assert (first["width"], first["height"]) == (64, 128)
    assert len({row["content"] for row in rows}) == len(rows) == 9
    assert [row["split"] for row in rows] == ["train"] * 3 + ["query"] * 2 + ["gallery"] * 4


def test_counts_name_split_quantity_and_amount(market_root):
    texts = verified("market1501", market_root, shipped("market1501")).at("difference")
    assert texts[0] == (
        "train: 3 images, expected 12936 (12933 missing); 2 ids, expected 751 (749 missing); "
        "3 cameras, expected 6 (3 missing)"
    )
    assert [text.split(":")[0] for text in texts] == ["train", "query", "gallery"]


@pytest.mark.parametrize(
    ("make", "distribution"),
    [
        (msmt17, "MSMT17_V1"),
        (lambda folder: msmt17(folder, "mask_train_v2", "mask_test_v2"), "MSMT17_V2 (blurred faces)"),
        (msmt17_repacked, "repacked like Market-1501 (training and validation set merged)"),
    ],
)
def test_it_is_said_which_distribution_it_is(tmp_path, make, distribution):
    assert f"distribution: {distribution}" in verified("msmt17", make(tmp_path)).at("notice")


def test_junk_is_counted_as_left_out(market_root):
    assert "gallery: 2 images of junk identities [-1] are left out" in verified("market1501", market_root).at("notice")


def test_both_published_sizes_of_veri_are_known(tmp_path):
    root = veri(tmp_path)
    spec = shipped("veri776")
    assert spec.expect.train.images == 37778
    known = {name: splits["train"].images for name, splits in spec.expect.alternatives.items()}
    assert known == {"as distributed today": 37746}
    here = {"as distributed today": {"train": Counts(images=3, ids=2, cameras=3)}}
    expect = expecting_what_is_there(spec, root).expect
    other = expect.model_copy(update={"train": Counts(images=4, ids=3, cameras=3), "alternatives": here})
    found = verified("veri776", root, spec.model_copy(update={"expect": other}))
    assert found.ok
    assert (
        "train: 3 images of 2 identities: the distribution known as 'as distributed today', "
        "not the official one (4 images of 3)"
    ) in found.at("notice")


def test_an_identity_in_both_train_and_test(market_root):
    picture(market_root / "bounding_box_train" / "0003_c1s1_000001_01.jpg")
    picture(market_root / "bounding_box_train" / "0000_c1s1_000001_01.jpg")  # a distractor is nobody
    assert verified("market1501", market_root).at("difference") == [
        "1 identities are in both train and test: 3 (bounding_box_train/0003_c1s1_000001_01.jpg "
        "and query/0003_c6s4_015641_00.jpg)"
    ]


def test_a_camera_outside_the_range(market_root):
    picture(market_root / "query" / "0001_c7s1_000001_00.jpg")
    assert verified("market1501", market_root).at("difference") == [
        "query: 1 images are of cameras outside 1 to 6: query/0001_c7s1_000001_00.jpg"
    ]


def test_unusable_images_are_all_reported(market_root):
    (market_root / "query" / "0001_c1s1_001051_00.jpg").write_bytes(b"")
    (market_root / "bounding_box_test" / "0001_c2s1_001976_01.jpg").write_bytes(b"text")
    found = verified("market1501", market_root)
    assert found.manifest is None
    assert found.at("error") == [
        "2 images cannot be used: query/0001_c1s1_001051_00.jpg is empty (0 bytes), "
        "bounding_box_test/0001_c2s1_001976_01.jpg is not an image"
    ]


def test_odd_but_usable_images_are_accepted(market_root):
    folder = market_root / "bounding_box_train"
    Image.new("CMYK", (64, 128), (9, 8, 7, 6)).save(folder / "0002_c1s1_000451_03.jpg")
    Image.fromarray(np.full((128, 64), 7, np.uint8)).save(folder / "0002_c2s1_000776_01.jpg")
    exif = Image.Exif()
    exif[0x0112] = 8
    Image.new("RGB", (128, 64), "teal").save(folder / "0007_c3s3_077419_02.jpg", exif=exif)
    found = verified("market1501", market_root)
    assert found.ok
    assert (found.manifest["width"][2].as_py(), found.manifest["height"][2].as_py()) == (64, 128)


def test_lists_name_a_missing_image(tmp_path):
    root = msmt17(tmp_path)
    (root / "train" / MSMT17["list_val.txt"][0].split()[0]).unlink()
    assert verified("msmt17", root).at("error") == [
        "1 images cannot be used: train/0000/0000_013_04_0303morning_0020_2.jpg is missing"
    ]


def test_images_that_no_list_names(tmp_path):
    root = msmt17(tmp_path)
    picture(root / "test" / "0001" / "0001_099_03_0113noon_0438_0.jpg")
    expected = "1 images lie in the folders, but no list names them: test/0001/0001_099_03_0113noon_0438_0.jpg"
    assert verified("msmt17", root).at("difference") == [expected]
    assert verified("msmt17-train-only", root).at("difference") == [expected]  # list_val's images are known


def test_an_image_listed_twice(tmp_path):
    root = msmt17(tmp_path)
    with (root / "list_val.txt").open("a") as file:
        file.write(MSMT17["list_train.txt"][0])
    assert verified("msmt17", root).at("difference") == [
        "train: 1 images are listed more than once: train/0000/0000_000_01_0303morning_0008_0.jpg"
    ]


def test_msmt17_identities_that_restart_are_no_overlap(tmp_path):
    assert not any("both train and test" in text for text in verified("msmt17", msmt17(tmp_path)).at("difference"))


@pytest.mark.parametrize(
    ("original", "copy", "message"),
    [
        (
            "bounding_box_train/0002_c1s1_000451_03.jpg",
            "query/0001_c2s1_000001_00.jpg",
            "images are in both train and test",
        ),
        (
            "bounding_box_train/0002_c1s1_000451_03.jpg",
            "bounding_box_train/0007_c1s1_000001_00.jpg",
            "more than one identity",
        ),
        (
            "bounding_box_train/0002_c1s1_000451_03.jpg",
            "bounding_box_train/0002_c3s1_000001_00.jpg",
            "more than one camera",
        ),
    ],
)
def test_copies_that_do_harm(market_root, original, copy, message):
    shutil.copy(market_root / original, market_root / copy)
    texts = verified("market1501", market_root).at("difference")
    assert len(texts) == 1
    assert message in texts[0]
    assert original in texts[0]
    assert copy in texts[0]


def test_a_copy_with_the_same_labels_is_only_mentioned(market_root):
    name = market_root / "bounding_box_train" / "0002_c1s1_000451_03.jpg"
    shutil.copy(name, name.with_name("0002_c1s1_000452_03.jpg"))
    found = verified("market1501", market_root)
    assert found.ok
    assert any("1 images have copies with the same labels" in text for text in found.at("notice"))


def test_names_that_differ_only_in_case(market_root):
    picture(market_root / "query" / "0001_c1s1_001051_00.JPG", seed=1)
    assert verified("market1501", market_root).at("difference") == [
        "1 names differ only in case, which some file systems cannot tell apart: "
        "query/0001_c1s1_001051_00.JPG and query/0001_c1s1_001051_00.jpg"
    ]


def test_veri_relevance_files_are_checked_against_the_rule(tmp_path):
    root = veri(tmp_path)
    assert "the same-camera rule gives exactly gt_index.txt and jk_index.txt" in verified("veri776", root).at("notice")
    (root / "gt_index.txt").write_text("3 \n4 5 \n")
    assert verified("veri776", root).at("difference") == [
        "gt_index.txt and jk_index.txt contradict the same-camera rule for 1 queries: 0005_c003_00077625_0.jpg (line 2)"
    ]
    (root / "gt_index.txt").write_text("3 \n")
    assert verified("veri776", root).at("difference") == [
        "gt_index.txt has 1 lines and jk_index.txt 2, but there are 2 queries"
    ]
    (root / "gt_index.txt").write_text("three \n5 \n")
    with pytest.raises(UserError, match=r"gt_index.txt: expected one line of positions per query"):
        verified("veri776", root)
    (root / "gt_index.txt").unlink()
    assert any(
        "was not checked, because gt_index.txt is not there" in text for text in verified("veri776", root).at("notice")
    )


def test_veri_names_that_contradict_the_labels(tmp_path):
    root = veri(tmp_path)
    text = veri_xml(VERI["image_train"]).replace(b'vehicleID="0003"', b'vehicleID="0004"')
    (root / "train_label.xml").write_bytes(text.replace(b'cameraID="c020"', b'cameraID="c019"'))
    assert verified("veri776", root).at("difference") == [
        "train: 2 names contradict their labels: 0001_c020_00016460_1.jpg (camera 020, but c019 in train_label.xml), "
        "0003_c002_00016900_0.jpg (id 0003, but 0004 in train_label.xml)"
    ]


def test_changes_since_the_import(market_root):
    write_manifest(verified("market1501", market_root).manifest, market_root / MANIFEST)
    assert verified("market1501", market_root).ok
    spec = expecting_what_is_there(shipped("market1501"), market_root)
    picture(market_root / "query" / "0001_c1s1_001051_00.jpg", seed=5)
    (market_root / "query" / "0003_c6s4_015641_00.jpg").rename(market_root / "query" / "0003_c6s4_015642_00.jpg")
    assert verified("market1501", market_root, spec).at("difference") == [
        "since the dataset was added, 1 images are gone: query/0003_c6s4_015641_00.jpg",
        "since the dataset was added, 1 images are new: query/0003_c6s4_015642_00.jpg",
        "since the dataset was added, 1 images have other content: query/0001_c1s1_001051_00.jpg",
    ]


def test_queries_without_a_match(market_root):
    (market_root / "bounding_box_test" / "0001_c2s1_001976_01.jpg").unlink()
    assert (
        "1 of 2 queries have no image of their identity in the gallery under another camera: "
        "query/0001_c1s1_001051_00.jpg"
    ) in verified("market1501", market_root).at("notice")
    (market_root / "bounding_box_test" / "0003_c1s6_015971_02.jpg").unlink()
    assert (
        verified("market1501", market_root).at("error")[0].startswith("2 of 2 queries have no image of their identity")
    )


def test_without_camera_labels_a_query_must_not_lie_in_the_gallery(tmp_path):
    spec = shipped("market1501")
    layout = spec.layout.model_copy(update={"pattern": r"^(?P<id>-?\d+)_", "cameras": None})
    spec = spec.model_copy(update={"layout": layout, "expect": None})
    root = market(tmp_path)
    found = verify_dataset(spec, root, workers=1)
    assert found.ok
    assert any(text.startswith("no camera labels: nothing in the gallery is removed") for text in found.at("notice"))
    assert any("no expected counts" in text for text in found.at("notice"))
    shutil.copy(root / "query" / "0001_c1s1_001051_00.jpg", root / "bounding_box_test" / "0001_c9.jpg")
    assert verify_dataset(spec, root, workers=1).at("difference") == [
        "1 queries also lie in the gallery, and without camera labels nothing removes them there: "
        "bounding_box_test/0001_c9.jpg = query/0001_c1s1_001051_00.jpg"
    ]


def test_a_withdrawn_dataset_says_so(tmp_path):
    notices = verified("dukemtmc", duke(tmp_path)).at("notice")
    assert any(text.startswith("withdrawn: Its authors took the dataset down on 25 April 2019") for text in notices)


def test_an_empty_split_is_an_error(market_root):
    shutil.rmtree(market_root / "query")
    (market_root / "query").mkdir()
    assert "query: no images" in verified("market1501", market_root).at("error")
