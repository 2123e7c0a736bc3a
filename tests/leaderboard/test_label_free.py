"""The leaderboard of a task without labels."""

import hashlib

import pytest

from harness.pipeline.records import LabelFree
from tests.leaderboard.apps import opened, texts
from tests.store.factory import Project


def test_a_run_without_labels_has_figures_and_no_map(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = next(path.parent for path in sorted((project.root / "results" / "runs").glob("*/metrics.json")))
    record = hashlib.sha256((folder / "record.json").read_bytes()).hexdigest()
    found = LabelFree(
        images=300, clusters=21, outliers=0.07, silhouette=0.5, agreement=0.9, camera_bias=0.1,
        record_sha256=record, checkpoint_sha256="0" * 64,
    )  # fmt: skip
    (folder / "metrics.json").write_text(found.model_dump_json())
    app = opened(project.root, monkeypatch, task=folder.name.split("__")[1])
    assert not app.exception
    table = next(frame.value for frame in app.dataframe if "camera bias" in frame.value)
    assert table["run"].tolist() == [folder.name]
    assert table["clusters"].tolist() == ["21"]
    assert "No labels, so no mAP" in texts(app)
