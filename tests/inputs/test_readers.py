"""What reads a file goes through a gate: no pipe is waited for, no library's error escapes, damage is named."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from harness.commands.check import check_project
from harness.commands.list import listing
from harness.errors import UserError
from harness.importing.propose import propose
from harness.inputs import limits
from harness.inputs.arrays import read_array
from harness.inputs.csv import read_rows
from harness.inputs.files import check_regular, read_head
from harness.inputs.folders import files_below
from harness.inputs.images import read_size
from harness.inputs.json import parse_sealed, sealed
from harness.inputs.parquet import load_table
from harness.inputs.xml import read_attributes
from harness.learning.state import read_tensors
from harness.pipeline.pipelines import conflict_line, edited, generated, write_plan
from harness.pipeline.records import Best
from harness.specs import Registry
from harness.store import live
from harness.store.lists import read_queries
from harness.use.calibration import read_calibration
from harness.use.features import read_features
from tests.store.factory import Project


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


NO_ARRAY = b"\x93NUMPY\x01\x00\x76\x00{'descr': ((" + b" " * 200
READERS: dict[str, Callable[[Path], object]] = {
    "labels.csv": lambda path: read_rows(path, ("path",)),
    "table.parquet": load_table,
    "features.npy": read_features,
    "features.parquet": read_features,
    "calibration.json": read_calibration,
    "checkpoint.safetensors": read_tensors,
    "array.npy": read_array,
    "state": lambda path: read_head(path, 8),
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, _loop], ids=["pipe", "folder", "loop"])
def test_only_a_regular_file_is_opened(tmp_path: Path, name: str, make: Callable[[Path], object]) -> None:
    make(tmp_path / name)
    with pytest.raises(UserError, match=name):
        READERS[name](tmp_path / name)


@pytest.mark.parametrize("name", ["labels.csv", "table.parquet", "features.npy", "features.parquet", "array.npy"])
@pytest.mark.parametrize("data", [b"", b"\xff" * 300, b"PAR1" * 30, NO_ARRAY])
def test_what_is_none_is_named(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match=name):
        READERS[name](tmp_path / name)


def test_a_devices_end_is_not_waited_for() -> None:
    with pytest.raises(UserError, match="it is a device, not a regular file"):
        check_regular(Path("/dev/zero"))


def test_an_array_takes_no_more_memory_than_its_file(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.zeros(8, np.float32))
    path.write_bytes(path.read_bytes().replace(b"(8,), }      ", b"(8888888888,)}"[:13].ljust(13)))
    with pytest.raises(UserError, match=r"a\.npy: not readable as a NumPy array"):
        read_array(path)


@pytest.mark.parametrize("shape", [(0,), (0, 4, 3), (2, 3)])
def test_arrays_come_back(tmp_path: Path, shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    np.save(tmp_path / "a.npy", array)
    np.testing.assert_array_equal(read_array(tmp_path / "a.npy"), array)


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(UserError, match="it holds Python objects"):
        read_array(tmp_path / "a.npy")


def test_a_flipped_bit_of_a_table_with_checksums_is_found(tmp_path: Path) -> None:
    path = tmp_path / "lists.parquet"
    numbers = np.random.default_rng(0).integers(0, 2**31, 4000)
    pq.write_table(pa.table({"a": numbers}), path, compression="none", use_dictionary=False, write_page_checksum=True)
    whole = path.read_bytes()
    path.write_bytes(whole[:9000] + bytes([whole[9000] ^ 1]) + whole[9001:])
    with pytest.raises(UserError, match=r"lists\.parquet: not readable as Parquet"):
        load_table(path)


def test_a_document_states_its_own_hash() -> None:
    text = sealed(_Scores(epoch=3, map=50.0, rank1=60.0))
    assert parse_sealed(text.encode(), Path("a.json"), _Scores).map == 50.0
    for changed in (text.replace("50.0", "51.0"), text.replace('"epoch": 3', '"epoch": 2')):
        with pytest.raises(UserError, match=r"a\.json: is damaged, or was edited"):
            parse_sealed(changed.encode(), Path("a.json"), _Scores)
    older = json.loads(text) | {"sha256": "", "map": 51.0}
    assert parse_sealed(json.dumps(older).encode(), Path("a.json"), _Scores).map == 51.0


class _Scores(Best):
    sha256: str = ""


def test_a_link_above_the_folder_is_refused_before_the_disk_is_walked(tmp_path: Path) -> None:
    root = tmp_path / "a" / "b"
    root.mkdir(parents=True)
    for target in ("/", "..", str(tmp_path), "."):
        (root / "link").symlink_to(target)
        with pytest.raises(UserError, match="a link to a folder that it lies in itself"):
            files_below(root)
        (root / "link").unlink()


def test_more_files_than_any_dataset_has_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.inputs.folders.MEMBERS", 3)
    for number in range(4):
        (tmp_path / f"{number}").touch()
    with pytest.raises(UserError, match="holds more than 3 files"):
        files_below(tmp_path)
    assert limits.MEMBERS > 126_441


def test_a_size_is_read_of_the_named_formats_only(tmp_path: Path) -> None:
    for form, found in (("JPEG", (5, 7)), ("GIF", None)):
        Image.new("RGB", (5, 7)).save(tmp_path / "a.jpg", form)
        assert read_size(tmp_path / "a.jpg") == found
    (tmp_path / "a.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n")
    assert read_size(tmp_path / "a.jpg") is None
    with pytest.raises(UserError, match="none of its images can be read"):
        propose("mine", tmp_path)


PLACES = (
    "results/published.json",
    "pipelines/cluster-contrast/dvc.lock",
    "pipelines/datasets.yaml",
    "results/runs/supervised__beta__s0/metrics.json",
    "results/attempts/supervised__beta__s0/0001-train.json",
)
CONTENTS = [None, b"\xff\0", b"[" * 100_000, b'{"runs": 5, "map": 1' + b"0" * 400 + b"}", b"null"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("content", CONTENTS)
def test_lists_of_runs_stand_whatever_a_file_has_become(project: Project, place: str, content: bytes | None) -> None:
    path = project.root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    if content is None:
        os.mkfifo(path)
    else:
        path.write_bytes(content)
    registry = Registry.load(project.root)
    rows = {row["key"]: row for row in listing(registry, "runs")}
    assert rows["cluster-contrast__beta__s0"]["status"] == "finished"
    broken = "metrics" in place
    assert rows["supervised__beta__s0"]["status"] == ("trained" if broken else "finished")
    assert (rows["supervised__beta__s0"]["mAP"] is None) == broken
    check_project(registry)  # says what it finds, and raises nothing


def test_a_generated_pipeline_that_became_a_pipe_is_no_wait(project: Project) -> None:
    path = project.root / "pipelines" / "cluster-contrast" / "dvc.yaml"
    path.unlink()
    os.mkfifo(path)
    assert (edited(path), generated(path), conflict_line(path)) == (True, False, None)
    lock = path.with_suffix(".lock")
    os.mkfifo(lock)
    write_plan(Registry.load(project.root), [])
    assert (path.is_fifo(), lock.is_fifo()) == (True, True)  # nothing of ours, so nothing is deleted


def test_curves_and_lists_of_a_run_wait_for_no_pipe(project: Project) -> None:
    key = "cluster-contrast__beta__s0"
    work = project.root / "results" / "work"
    work.mkdir()
    os.mkfifo(work / f"{key}.safetensors")
    assert live.unfinished_history(project.root, key) is None
    queries = project.root / "results" / "runs" / key / "queries.parquet"
    queries.unlink()
    os.mkfifo(queries)
    with pytest.raises(UserError, match=rf"results/runs/{key}/queries.parquet: cannot be read: it is a named pipe"):
        read_queries(project.root, key)


@pytest.mark.parametrize("rows", [5, "ab", [1, 2], [None], [{"epoch": [1]}, {"epoch": "one"}], {"epoch": 1}])
def test_a_damaged_unfinished_state_shows_no_curves(project: Project, rows: object) -> None:
    key = "cluster-contrast__beta__s0"
    work = project.root / "results" / "work"
    work.mkdir()
    shown = {}
    for name, found in (("damaged", rows), ("whole", [{"epoch": 1, "loss": 0.5}, {"epoch": 2}])):
        header = json.dumps({"__metadata__": {"progress": json.dumps({"rows": found})}}).encode()
        (work / f"{key}.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
        shown[name] = live.unfinished_history(project.root, key)
    assert shown == {"damaged": None, "whole": {"epoch": [1, 2], "loss": [0.5, None]}}


@pytest.mark.parametrize("encoding", ["punycode", "undefined", "idna", "hex", "unicode_escape", "nothing-like-it"])
def test_xml_in_what_is_no_encoding_of_text_takes_no_time(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "labels.xml"
    path.write_bytes(f"<?xml version='1.0' encoding='{encoding}'?>a-".encode() + b"b9" * 200_000)
    begun = time.process_time()
    with pytest.raises(UserError, match=rf"labels.xml: .*{encoding}"):
        read_attributes(path, ("imageName",))
    assert time.process_time() - begun < 1


@pytest.mark.parametrize("encoding", ["UTF-8", "gb2312", "GBK", "Big5", "ISO-8859-1", "windows-1252", "us-ascii"])
def test_xml_in_the_encodings_that_there_are(tmp_path: Path, encoding: str) -> None:
    text = f"<?xml version='1.0' encoding='{encoding}'?><a><b imageName='1.jpg'/></a>"
    (tmp_path / "labels.xml").write_bytes(text.encode(encoding))
    assert read_attributes(tmp_path / "labels.xml", ("imageName",)) == [("1.jpg",)]
