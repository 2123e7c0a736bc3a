"""Datasets: counts held against the published ones, and what is withdrawn or damaged."""

import json
import os
import shutil
from pathlib import Path

import pytest

from harness.store import ingest
from tests.leaderboard.apps import opened, texts
from tests.store.factory import Project


def test_a_withdrawn_dataset_says_so(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    access = {"homepage": "javascript:alert(1)", "license": "none", "withdrawn": "Taken down in 2019."}
    project.dataset("duke", access=access)
    app = opened(project.root, monkeypatch, "datasets", dataset="duke")
    assert app.warning[0].value == "**Withdrawn.** Taken down in 2019."
    assert not app.get("link_button")


def test_a_dataset_is_held_against_its_expected_counts(pictured: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(pictured.root, monkeypatch, "datasets", dataset="beta")
    counts = app.dataframe[0].value.set_index("split")
    assert counts["agrees"].tolist() == ["✓ yes", "✗ no", "✗ no"]
    assert counts.loc["query", "images, here"] == 200


def test_a_dataset_that_expects_no_counts_is_shown_without(
    pictured: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(pictured.root, tmp_path / "project"))
    spec = root / "datasets" / "beta.yaml"
    document = json.loads(spec.read_text())
    del document["expect"]
    spec.write_text(json.dumps(document))
    ingest(root)
    app = opened(root, monkeypatch, "datasets", dataset="beta")
    counts = app.dataframe[0].value.set_index("split")
    assert counts.loc["query", "images, here"] == 200
    assert not [name for name in counts if "expected" in name or name == "agrees"]


@pytest.mark.parametrize("damage", ["info", "no counts", "manifest", "pixels", "pipe", "gone"])
def test_a_dataset_that_is_damaged_is_said_so(
    pictured: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, damage: str
) -> None:
    root = Path(shutil.copytree(pictured.root, tmp_path / "project"))
    folder = root / "data" / "prepared" / "beta"
    match damage:
        case "info":
            (folder / "info.json").write_text('{"format": 1, "files": 5')
        case "no counts":
            (folder / "info.json").write_text('{"format": 1, "splits": []}')
        case "manifest":
            (folder / "manifest.parquet").write_bytes(b"PAR1")
        case "pixels":
            (folder / "query.npy").write_bytes(b"\x93NUMPY")
        case "pipe":
            (folder / "info.json").unlink()
            os.mkfifo(folder / "info.json")
        case "gone":
            (folder / "query.npy").unlink()
    assert not opened(root, monkeypatch, "queries").exception
    app = opened(root, monkeypatch, "datasets", dataset="beta")
    assert not app.exception
    assert "beta" in texts(app).lower()
