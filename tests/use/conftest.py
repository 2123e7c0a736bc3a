"""A trained tiny run, and its dataset's images as files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from harness.data import open_prepared
from harness.learning.networks import build
from harness.learning.state import read_tensors, write_tensors
from harness.paths import prepared_folder
from harness.specs.compute import Network
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
def transformer(run: Path) -> Path:
    """The run's folder with a transformer of timm's in it, its neck no identity, as if it had been trained."""
    metadata = read_tensors(run / "checkpoint.safetensors")[1]
    method = json.loads(metadata["method"])
    backbone = {"kind": "timm", "name": "test_vit.r160_in1k", "size": "weights", "last_stride": 2, "drop_path": 0}
    method["compute"]["network"] |= {"backbone": backbone, "pooling": {"kind": "token"}}
    network = build(Network.model_validate(method["compute"]["network"]), 3, torch.device("cpu"))
    network.neck.get_buffer("running_mean").normal_(std=0.3)
    network.neck.get_buffer("running_var").uniform_(0.5, 2)
    write_tensors(network.state_dict(), run / "checkpoint.safetensors", metadata | {"method": json.dumps(method)})
    record = json.loads((run / "record.json").read_text())
    record["input"] |= {"mean": [0.5, 0.4, 0.5], "std": [0.5, 0.5, 0.3]}
    del record["sha256"]  # which is of the record as it was written
    (run / "record.json").write_text(json.dumps(record))
    return run


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
