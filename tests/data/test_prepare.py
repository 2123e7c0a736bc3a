import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import harness.data.prepare as preparing
from harness.data import open_prepared, read_dataset
from harness.data.prepare import prepare
from harness.errors import UserError
from tests.data.official import market, picture, shipped

SPEC = shipped("market1501")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_arrays_hold_the_bicubically_resized_images_in_record_order(tmp_path):
    root = market(tmp_path)
    prepared = prepare(SPEC, root, tmp_path / "prepared" / "market1501", workers=1)
    for name, records in read_dataset(SPEC, root).splits.items():
        split = prepared.split(name)
        assert split.paths == [record.path.as_posix() for record in records]
        assert split.ids.tolist() == [record.id for record in records]
        assert split.cameras.tolist() == [record.camera for record in records]
        assert isinstance(split.images, np.memmap)
        for image, path in zip(split.images, split.paths, strict=True):
            expected = Image.open(root / path).convert("RGB").resize((128, 256), Image.Resampling.BICUBIC)
            np.testing.assert_array_equal(image, np.asarray(expected))


def test_bytes_do_not_depend_on_workers_or_on_earlier_runs(tmp_path):
    root = market(tmp_path)
    for number in range(300):  # more than one chunk, so that processes share the work
        picture(root / "bounding_box_train" / f"0010_c1s1_{number:06}_00.jpg", size=(16, 32))
    one = prepare(SPEC, root, tmp_path / "one", workers=1)
    two = prepare(SPEC, root, tmp_path / "two", workers=2)
    assert contents(one.folder) == contents(two.folder)
    prepare(SPEC, root, tmp_path / "two", workers=1)
    assert contents(one.folder) == contents(two.folder)


def test_data_hash_changes_with_an_image_and_with_a_label(tmp_path):
    root = market(tmp_path)
    before = prepare(SPEC, root, tmp_path / "a", workers=1).data_hash
    picture(root / "query" / "0001_c1s1_001051_00.jpg", seed=1)
    changed = prepare(SPEC, root, tmp_path / "b", workers=1).data_hash
    (root / "query" / "0001_c1s1_001051_00.jpg").rename(root / "query" / "0001_c2s1_001051_00.jpg")
    relabeled = prepare(SPEC, root, tmp_path / "c", workers=1).data_hash
    assert len({before, changed, relabeled}) == 3


def test_the_info_file_stands_for_every_pixel(tmp_path, monkeypatch):
    """Runs depend on `info.json` alone: pixels that are resized otherwise must change it, though no file did."""
    root, resize = market(tmp_path), Image.Image.resize
    before = prepare(SPEC, root, tmp_path / "before", workers=1)
    monkeypatch.setattr(Image.Image, "resize", lambda image, size, how: resize(image, size, Image.Resampling.NEAREST))
    after = prepare(SPEC, root, tmp_path / "after", workers=1)
    assert before.data_hash == after.data_hash
    changed = {name for name, content in contents(before.folder).items() if contents(after.folder)[name] != content}
    assert changed == {"info.json", "train.npy", "query.npy", "gallery.npy"}
    assert before.info["files"].keys() == contents(before.folder).keys() - {"info.json"}


def test_a_broken_image_is_named_and_the_earlier_result_stays(tmp_path):
    root = market(tmp_path)
    out = tmp_path / "prepared"
    prepare(SPEC, root, out, workers=1)
    before = contents(out)
    (root / "query" / "0001_c1s1_001051_00.jpg").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"1 images cannot be used: query/0001_c1s1_001051_00\.jpg is not an image"):
        prepare(SPEC, root, out, workers=1)
    assert contents(out) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Market-1501-v15.09.15", "prepared"]


def test_an_unprepared_folder_says_what_to_run(tmp_path):
    with pytest.raises(UserError, match="dvc repro prepare@market1501"):
        open_prepared(tmp_path / "market1501")


def test_an_array_that_does_not_fit_its_manifest_is_refused(tmp_path):
    prepared = prepare(SPEC, market(tmp_path), tmp_path / "out", workers=1)
    np.save(prepared.folder / "query.npy", np.zeros((1, 256, 128, 3), np.uint8))
    with pytest.raises(UserError, match="its manifest says"):
        prepared.split("query", verified=False)
    with pytest.raises(UserError, match="damaged: not the file"):
        prepared.split("query")


@pytest.mark.parametrize("name", ["train.npy", "query.npy", "manifest.parquet"])
def test_one_flipped_bit_of_prepared_data_is_found_when_it_is_opened(tmp_path, name):
    prepared = prepare(SPEC, market(tmp_path), tmp_path / "out", workers=1)
    path = prepared.folder / name
    whole = path.read_bytes()
    path.write_bytes(whole[:-9] + bytes([whole[-9] ^ 4]) + whole[-8:])
    split = "query" if name == "query.npy" else "train"
    with pytest.raises(UserError, match=rf"{name}: damaged: not the file that info.json describes"):
        open_prepared(prepared.folder).split(split)
    if name != "manifest.parquet":  # what only shows images does not read them all
        assert len(open_prepared(prepared.folder).split(split, verified=False)) > 0
    path.write_bytes(whole)
    assert len(open_prepared(prepared.folder).split(split)) > 0


@pytest.mark.parametrize(("module", "function"), [(os, "pwrite"), (preparing, "write_manifest")])
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path, monkeypatch, module, function):
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    root = market(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(module, function, full)
        with pytest.raises(UserError, match="the disk is full; free some space and run it again"):
            prepare(SPEC, root, tmp_path / "prepared" / "market1501", workers=1)
    assert list((tmp_path / "prepared").iterdir()) == []
    prepare(SPEC, root, tmp_path / "prepared" / "market1501", workers=1)


def test_too_little_space_is_noticed_before_the_work(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=500_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(UserError, match=r"preparing market1501 needs 0\.0 GiB, but only 0\.0 GiB are free"):
        prepare(SPEC, market(tmp_path), tmp_path / "prepared", workers=1)


def test_a_name_that_is_not_utf_8_is_named(tmp_path):
    spec = SPEC.model_copy(
        update={"layout": SPEC.layout.model_copy(update={"pattern": r"^(?P<id>-?\d+)_c(?P<camera>\d)"})}
    )
    root = market(tmp_path)
    odd = os.fsencode(root / "query") + b"/0001_c1_\xff.jpg"
    shutil.copy(os.fsencode(root / "query" / "0001_c1s1_001051_00.jpg"), odd)
    with pytest.raises(UserError, match=r"'query/0001_c1_\\udcff.jpg': the name is not valid UTF-8; rename the file"):
        prepare(spec, root, tmp_path / "prepared", workers=1)


def test_progress_counts_the_images_of_each_split(tmp_path):
    told = []
    prepare(SPEC, market(tmp_path), tmp_path / "out", workers=1, progress=lambda *step: told.append(step))
    assert told == [
        ("prepare market1501 train", 3, 3),
        ("prepare market1501 query", 2, 2),
        ("prepare market1501 gallery", 4, 4),
    ]


def test_a_dataset_without_query_and_gallery_can_be_prepared(tmp_path):
    """One that only serves to pre-train a start."""
    root = market(tmp_path)
    for folder in ("query", "bounding_box_test"):
        shutil.rmtree(root / folder)
        (root / folder).mkdir()
    prepared = prepare(SPEC, root, tmp_path / "out", workers=1)
    assert len(prepared.split("train")) == 3
    assert prepared.split("query").images.shape == (0, 256, 128, 3)
