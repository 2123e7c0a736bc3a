"""From an official archive to scores: add, plan, then prepare, train and evaluate through `dvc repro`."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.data.official import PROJECT, picture, veri, zip_of

TINY = """
name: tiny
title: Two epochs
description: As little training as shows that data reach it.
extends: supervised
role: method
starter: false
regimes:
  paper:
    init: random
    compute:
      network: {backbone: narrow}
      batch: {identities: 2, instances: 2}
      epochs: 2
      iterations: 2
      schedule: {kind: constant, warmup_epochs: 0, milestones: []}
      precision: float32
      evaluate_every: 1
"""


@pytest.fixture
def project(tmp_path):
    """A project with the shipped specs (VeRi-776's images made small), in Git and DVC."""
    root = tmp_path / "project"
    skip = shutil.ignore_patterns("__pycache__")
    for folder in ("harness", "methods", "datasets"):
        shutil.copytree(PROJECT / folder, root / folder, ignore=skip)
    for file in ("dvc.yaml", ".gitignore"):
        shutil.copy(PROJECT / file, root)
    (root / "methods" / "tiny.yaml").write_text(TINY)
    path = root / "datasets" / "veri776.yaml"
    path.write_text(path.read_text().replace("{height: 224, width: 224}", "{height: 32, width: 32}"))
    run(root, "harness", "plan", "--methods", "random-init", "--seeds", "0")
    run(root, "git", "init", "-q")
    run(root, "dvc", "init", "-q")
    return root


def run(root: Path, *command: str) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_an_official_archive_reaches_its_scores(tmp_path, project):
    folder = veri(tmp_path / "source")
    picture(folder / "image_train" / "0003_c001_00000001_0.jpg")  # a batch needs two images of each identity
    said = run(
        project, "harness", "data", "add", "veri776", str(zip_of(folder, tmp_path / "VeRi.zip")), "--allow-mismatch"
    )
    assert "in data/raw/veri776" in said
    run(project, "harness", "plan", "--methods", "tiny", "--targets", "veri776", "--seeds", "0")
    run(project, "dvc", "repro")
    results = project / "results" / "runs" / "tiny__veri776__s0"
    rows = pq.read_table(results / "queries.parquet").to_pylist()
    assert [(row["path"], row["identity"], row["camera"]) for row in rows] == [
        ("image_query/0002_c002_00030600_0.jpg", 2, 2),
        ("image_query/0005_c003_00077625_0.jpg", 5, 3),
    ]
    # Each query lies in the gallery too; it is never among what is ranked, nor is what shares its identity and camera.
    assert [sorted(row["gallery"]) for row in rows] == [[2, 3, 4], [0, 1, 2, 4]]
    for row, match in zip(rows, (2, 4), strict=True):
        assert row["first_hit"] == row["gallery"].index(match) + 1
        assert row["ap"] == pytest.approx(1 / row["first_hit"])
    record = json.loads((results / "record.json").read_text())
    info = json.loads((project / "data" / "prepared" / "veri776" / "info.json").read_text())
    assert record["epochs"] == 2
    assert record["data_hashes"] == {"veri776": info["data_hash"]}
