"""Labels in a CSV or Parquet file: the third way beside patterns and XML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from harness.data.reading import read_dataset, unlisted
from harness.errors import UserError
from harness.specs.dataset import DatasetSpec

ROWS = {
    "path": ["a.jpg", "b.jpg", "sub/c.jpg", "d.jpg", "e.jpg"],
    "identity": ["", "", "anna", "anna", "bob"],
    "camera": ["gate", "yard", "gate", "yard", "yard"],
    "split": ["train", "train", "query", "gallery", "gallery"],
}


def spec(table: str, **layout: Any) -> DatasetSpec:
    splits = {name: {"folder": "images", "table": table, "only": name} for name in ("train", "query", "gallery")}
    return DatasetSpec.model_validate(
        {
            "name": "own", "title": "Own", "kind": "person", "regime": "photo-cpu", "starter": False,
            "image": {"height": 128, "width": 64}, "junk_ids": [], "distractor_ids": [], "sources": [],
            "layout": {**splits, "pattern": "", "named_ids": True, "named_cameras": True, **layout},
            "access": {"homepage": "none", "license": "own"}, "citation": "none",
        }
    )  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in [*ROWS["path"], "stray.jpg"]:
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "images" / name).touch()
    pyarrow.csv.write_csv(pa.table(ROWS), tmp_path / "labels.csv")
    pq.write_table(pa.table(ROWS), tmp_path / "labels.parquet")
    return tmp_path


@pytest.mark.parametrize("table", ["labels.csv", "labels.parquet"])
def test_a_table_names_images_identities_cameras_and_splits(root: Path, table: str) -> None:
    data = read_dataset(spec(table), root)
    assert [(record.path.as_posix(), record.id, record.camera) for record in data.train] == [
        ("images/a.jpg", -1, 0), ("images/b.jpg", -1, 1),
    ]  # fmt: skip
    assert [(record.path.name, record.id, record.camera) for record in data.query] == [("c.jpg", 0, 0)]
    assert [(record.path.name, record.id, record.camera) for record in data.gallery] == [
        ("d.jpg", 0, 1), ("e.jpg", 1, 1),
    ]  # fmt: skip
    assert (data.has_ids, data.has_cameras) == (False, True)
    assert unlisted(root, spec(table).layout) == ["images/stray.jpg"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("file,camera\na.jpg,1\n", "labels.csv:1: has no column 'path'"),
        ("path,camera\na.jpg,1\n", "has no column 'split', from which the spec wants the rows 'train'"),
        ("path,split\n../a.jpg,train\n", "labels.csv:2: path: '../a.jpg' is no path below"),
        ("path,split\na.jpg\n", "labels.csv:2: has a row of another length"),
        ("path,split\na.jpg,test\n", "has no row whose split is 'train'"),
    ],
)
def test_what_is_no_table(root: Path, text: str, said: str) -> None:
    (root / "labels.csv").write_text(text)
    with pytest.raises(UserError, match=said):
        read_dataset(spec("labels.csv"), root)
    (root / "labels.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match="not readable as Parquet"):
        read_dataset(spec("labels.parquet"), root)


@pytest.mark.parametrize(
    ("train", "said"),
    [
        ({"folder": "images", "only": "train"}, "only: chooses rows of a table, and there is no table"),
        ({"folder": "images", "table": "l.csv", "lists": ["a.txt"]}, "state one of them"),
    ],
)
def test_a_spec_that_contradicts_itself(train: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        spec("labels.csv", train=train)


def test_query_without_gallery() -> None:
    with pytest.raises(ValueError, match="query and gallery belong together: state both, or neither"):
        spec("labels.csv", gallery=None)
