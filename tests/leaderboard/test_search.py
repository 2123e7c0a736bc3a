"""The page that searches by an uploaded picture."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.commands.calibrate import calibrate_run
from harness.data import open_prepared
from harness.paths import prepared_folder
from harness.pipeline.evaluate import evaluate
from harness.store import ingest
from tests.leaderboard.apps import opened, texts
from tests.pipeline.conftest import tiny
from tests.pipeline.tiny import TARGET, Tiny

__all__ = ["tiny"]


@pytest.fixture
def root(tiny: Tiny, tmp_path: Path) -> Path:
    """A project with one trained and evaluated run."""
    pairing = tiny.pairing("generic-init")
    project = tiny.fresh(tmp_path / "project", pairing)
    project.trained(pairing)
    evaluate(project.registry, pairing)
    (project.root / "dvc.yaml").touch()
    ingest(project.root)
    return project.root


def test_an_uploaded_picture_finds_itself(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = f"generic-init__{TARGET}__s0"
    app = opened(root, monkeypatch, "search", run=key)
    assert not app.exception
    assert "Not calibrated" in texts(app)
    assert f"harness calibrate {key} --dataset {TARGET}" in texts(app)
    list(calibrate_run(key, None, TARGET))
    gallery = open_prepared(prepared_folder(root, TARGET)).split("gallery")
    out = io.BytesIO()
    Image.fromarray(np.asarray(gallery.images[4])).save(out, "PNG")
    app = app.file_uploader[0].upload("who.png", out.getvalue(), "image/png").run()
    assert not app.exception
    assert "Same from" in texts(app)
    captions = [image.proto.imgs[0].caption for image in app.get("image")]
    assert captions[0] == "query"
    assert captions[1].startswith("1. 1.000 ")
    app = app.file_uploader[0].upload("who.png", b"no picture", "image/png").run()
    assert "who.png is not an image" in app.error[0].value


def test_without_a_trained_run(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(root / "results" / "runs")
    app = opened(root, monkeypatch, "search")
    assert "No trained run is on this machine" in app.info[0].value
