"""A drawn dataset as a folder to publish: its Croissant file states what is there."""

from __future__ import annotations

import csv
import hashlib
import json
import zipfile
from pathlib import Path

import pytest

from harness.data import read_dataset
from harness.errors import UserError
from harness.paths import raw_folder
from harness.sharing.croissant import publish_dataset
from tests.pipeline.conftest import tiny
from tests.pipeline.tiny import TARGET, Tiny, shipped

__all__ = ["tiny"]


def test_the_description_states_what_is_there(tiny: Tiny, tmp_path: Path) -> None:
    path = publish_dataset(tiny.registry, TARGET, tmp_path / "one")
    document = json.loads(path.read_text())
    assert (document["@type"], document["conformsTo"]) == ("sc:Dataset", "http://mlcommons.org/croissant/1.1")
    files = {entry["@id"]: entry for entry in document["distribution"]}
    for name in ("labels.csv", "images.zip"):
        data = (path.parent / files[name]["contentUrl"]).read_bytes()
        assert files[name]["sha256"] == hashlib.sha256(data).hexdigest()
        assert files[name]["contentSize"] == f"{len(data)} B"
    with (path.parent / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    dataset = read_dataset(tiny.registry.dataset(TARGET), raw_folder(tiny.root, TARGET))
    expected = [
        (r.path.as_posix(), s, str(r.id), str(r.camera))
        for s in ("train", "query", "gallery")
        for r in getattr(dataset, s)
    ]
    assert [tuple(row.values()) for row in rows] == expected
    with zipfile.ZipFile(path.parent / "images.zip") as archive:
        assert sorted(archive.namelist()) == sorted(row[0] for row in expected)
        assert archive.read(rows[0]["path"]) == (raw_folder(tiny.root, TARGET) / rows[0]["path"]).read_bytes()
    (records,) = document["recordSet"]
    fields = {field["name"]: field for field in records["field"]}
    assert list(fields) == ["path", "split", "identity", "camera", "image"]
    column = {name: {"fileObject": {"@id": "labels.csv"}, "extract": {"column": name}} for name in rows[0]}
    # By this join readers find an image's labels; PyPI's mlcroissant refuses a file without it.
    assert fields["path"]["source"] == {"fileSet": {"@id": "image-files"}, "extract": {"fileProperty": "fullpath"}}
    assert fields["path"]["references"] == column["path"]
    for name in ("split", "identity", "camera"):
        assert (fields[name]["source"], "references" in fields[name]) == (column[name], False)
    assert document["@context"]["containedIn"] == "cr:containedIn"  # else the images are taken for files in the folder
    again = publish_dataset(tiny.registry, TARGET, tmp_path / "two")
    assert {p.name: p.read_bytes() for p in again.parent.iterdir()} == {
        p.name: p.read_bytes() for p in path.parent.iterdir()
    }


def test_real_datasets_are_not_published(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="market1501: is a real dataset, and not ours to publish"):
        publish_dataset(shipped(), "market1501", tmp_path)
    assert list(tmp_path.iterdir()) == []
