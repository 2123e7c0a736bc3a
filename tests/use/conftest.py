"""A trained tiny run, and its dataset's images as files."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.data import open_prepared
from harness.paths import prepared_folder
from harness.use.model import Model, load
from tests.pipeline.conftest import tiny
from tests.pipeline.tiny import TARGET, Tiny

__all__ = ["tiny"]


@pytest.fixture(scope="session")
def trained(tiny: Tiny) -> Path:
    return tiny.trained(tiny.pairing("cluster-contrast"))


@pytest.fixture
def run(trained: Path, tiny: Tiny, tmp_path: Path) -> Path:
    """A copy of the trained run, not evaluated yet, in a project of its own that shares specs and data."""
    root = tmp_path / "project"
    for name in ("datasets", "methods", "data"):
        root.mkdir(exist_ok=True)
        (root / name).symlink_to(tiny.root / name)
    (root / "dvc.yaml").touch()
    folder = root / "results" / "runs" / trained.name
    # Other tests of the session may have evaluated the original by now.
    shutil.copytree(trained, folder, ignore=shutil.ignore_patterns("metrics.json", "queries.parquet", "ranked*"))
    return folder


@pytest.fixture
def model(run: Path) -> Model:
    return load(run)


@pytest.fixture(scope="session")
def pictures(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The gallery's images as PNG files, of the size that they were prepared at."""
    folder = tmp_path_factory.mktemp("pictures")
    gallery = open_prepared(prepared_folder(tiny.root, TARGET)).split("gallery")
    for number, pixels in enumerate(np.asarray(gallery.images)):
        Image.fromarray(pixels).save(folder / f"{number:03}.png")
    return folder
