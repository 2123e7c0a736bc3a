"""From the official archives to scores: add and verify, plan, then prepare, train and evaluate through `dvc repro`."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from harness.commands.add_dataset import add
from harness.specs import Registry
from tests.data.official import PROJECT, duke, market, msmt17, tar_of, veri, zip_of

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
      network: {backbone: {kind: narrow}}
      batch: {identities: 2, instances: 1}
      epochs: 2
      iterations: 2
      schedule: {kind: constant}
      warmup: {epochs: 0, factor: 1}
      precision: float32
      evaluate_every: 1
"""
SMALL = {
    "{height: 256, width: 128}": "{height: 32, width: 16}",
    "{height: 224, width: 224}": "{height: 32, width: 32}",
}

ARCHIVES = {
    "market1501": lambda folder: zip_of(market(folder), folder / "Market-1501-v15.09.15.zip"),
    "dukemtmc": lambda folder: zip_of(duke(folder), folder / "DukeMTMC-reID.zip"),
    "msmt17": lambda folder: tar_of(msmt17(folder, "mask_train_v2", "mask_test_v2", "\r\n"), folder / "MSMT17_V2.tar"),
    "veri776": lambda folder: zip_of(veri(folder), folder / "VeRi.zip"),
}

# path, identity, camera, frame of every image, in index order
RECORDS = {
    "market1501": {
        "train": [
            ("bounding_box_train/0002_c1s1_000451_03.jpg", 2, 1, 451),
            ("bounding_box_train/0002_c2s1_000776_01.jpg", 2, 2, 776),
            ("bounding_box_train/0007_c3s3_077419_02.jpg", 7, 3, 77419),
        ],
        "query": [
            ("query/0001_c1s1_001051_00.jpg", 1, 1, 1051),
            ("query/0003_c6s4_015641_00.jpg", 3, 6, 15641),
        ],
        "gallery": [  # without the junk
            ("bounding_box_test/0000_c1s1_000151_01.jpg", 0, 1, 151),
            ("bounding_box_test/0001_c1s1_001051_03.jpg", 1, 1, 1051),
            ("bounding_box_test/0001_c2s1_001976_01.jpg", 1, 2, 1976),
            ("bounding_box_test/0003_c1s6_015971_02.jpg", 3, 1, 15971),
        ],
    },
    "dukemtmc": {
        "train": [
            ("bounding_box_train/0001_c2_f0046182.jpg", 1, 2, 46182),
            ("bounding_box_train/0001_c5_f0051341.jpg", 1, 5, 51341),
            ("bounding_box_train/0002_c1_f0044158.jpg", 2, 1, 44158),
        ],
        "query": [
            ("query/0005_c2_f0046985.jpg", 5, 2, 46985),
            ("query/0008_c3_f0026318.jpg", 8, 3, 26318),
        ],
        "gallery": [
            ("bounding_box_test/0005_c5_f0051781.jpg", 5, 5, 51781),
            ("bounding_box_test/0008_c8_f0027004.jpg", 8, 8, 27004),
            ("bounding_box_test/7139_c2_f0165467.jpg", 7139, 2, 165467),
        ],
    },
    "msmt17": {
        "train": [  # list_val joins list_train
            ("mask_train_v2/0000/0000_000_01_0303morning_0008_0.jpg", 0, 1, 8),
            ("mask_train_v2/0000/0000_013_04_0303morning_0020_2.jpg", 0, 4, 20),
            ("mask_train_v2/0001/0001_001_14_0303noon_0015_1_ex.jpg", 1, 14, 15),
        ],
        "query": [  # the test's own identities, after the 1,041 of the training set
            ("mask_test_v2/0000/0000_002_01_0303morning_0016_2.jpg", 1041, 1, 16),
            ("mask_test_v2/0001/0001_005_15_0302afternoon_1475_1.jpg", 1042, 15, 1475),
        ],
        "gallery": [
            ("mask_test_v2/0000/0000_009_07_0303morning_0019_0.jpg", 1041, 7, 19),
            ("mask_test_v2/0001/0001_000_03_0113noon_0438_0.jpg", 1042, 3, 438),
        ],
    },
    "veri776": {
        "train": [
            ("image_train/0001_c001_00016450_0.jpg", 1, 1, 16450),
            ("image_train/0001_c020_00016460_1.jpg", 1, 20, 16460),
            ("image_train/0003_c002_00016900_0.jpg", 3, 2, 16900),
        ],
        "query": [
            ("image_query/0002_c002_00030600_0.jpg", 2, 2, 30600),
            ("image_query/0005_c003_00077625_0.jpg", 5, 3, 77625),
        ],
        "gallery": [
            ("image_test/0002_c002_00030600_0.jpg", 2, 2, 30600),
            ("image_test/0002_c002_00030605_1.jpg", 2, 2, 30605),
            ("image_test/0002_c003_00084280_0.jpg", 2, 3, 84280),
            ("image_test/0005_c003_00077625_0.jpg", 5, 3, 77625),
            ("image_test/0005_c004_00082505_0.jpg", 5, 4, 82505),
        ],
    },
}

# Per query: the gallery's indices that are ranked (its own identity under its own camera is not), and the right one.
RANKED = {
    "market1501": [([0, 2, 3], 2), ([0, 1, 2, 3], 3)],
    "dukemtmc": [([0, 1, 2], 0), ([0, 1, 2], 1)],
    "msmt17": [([0, 1], 0), ([0, 1], 1)],
    "veri776": [([2, 3, 4], 2), ([0, 1, 2, 4], 4)],  # VeRi-776's queries lie in the gallery too
}

IMAGES = {name: sum(map(len, records.values())) for name, records in RECORDS.items()}


@pytest.fixture
def project(tmp_path):
    """A project with the shipped specs (images made small), in Git and DVC, with a plan for two seeds."""
    root = tmp_path / "project"
    skip = shutil.ignore_patterns("__pycache__")
    for folder in ("harness", "methods", "datasets"):
        shutil.copytree(PROJECT / folder, root / folder, ignore=skip)
    for file in ("dvc.yaml", ".gitignore"):
        shutil.copy(PROJECT / file, root)
    (root / "methods" / "tiny.yaml").write_text(TINY)
    for name in RECORDS:
        path = root / "datasets" / f"{name}.yaml"
        for large, small in SMALL.items():
            path.write_text(path.read_text().replace(large, small))
    run(root, "harness", "plan", "--methods", "sskd", "--targets", "drawn-winter", "--seeds", "1,4")
    run(root, "git", "init", "-q")
    run(root, "dvc", "init", "-q")
    return root


def generated(root: Path) -> dict[Path, bytes]:
    """What `harness plan` wrote."""
    return {path: path.read_bytes() for path in root.glob("pipelines/**/*") if path.is_file()}


def run(root: Path, *command: str) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_official_archives_reach_their_scores(tmp_path, project):
    before = Registry.load(project).planned
    for name, pack in ARCHIVES.items():
        archive = pack(tmp_path / name)
        said = list(add(Registry.load(project), name, archive, "copy", allow_mismatch=True))
        assert f"{name}: {IMAGES[name]} images in data/raw/{name}, read from {archive}" in said
        assert any(f" pairings with {name} added" in line for line in said)
        (begin,) = (line for line in said if line.startswith("one method, to begin with: harness run "))
        assert f"{name}__s*" in begin
        assert f"to record this in Git: git add datasets/{name}.yaml data/raw/{name}.dvc pipelines" in said
    plan = generated(project)
    again = list(add(Registry.load(project), name, archive, "copy", allow_mismatch=False))
    assert again[0] == f"{name}: already there: {IMAGES[name]} images in data/raw/{name}"
    assert generated(project) == plan
    planned = Registry.load(project).planned
    assert before.items() <= planned.items()
    added = [pairing for pairing in planned.values() if pairing.method == "sskd" and pairing.target in RECORDS]
    assert {pairing.seed for pairing in added} == {0, 1, 2}
    assert all({pairing.source, pairing.target} & {*RECORDS} for key, pairing in planned.items() if key not in before)

    run(project, "harness", "plan", "--methods", "tiny", "--targets", ",".join(RECORDS), "--seeds", "0")
    run(project, "dvc", "repro")
    for name in RECORDS:
        check_prepared(project / "data" / "prepared" / name, name)
        check_result(project, name)


def check_prepared(folder: Path, name: str) -> None:
    rows = pq.read_table(folder / "manifest.parquet").to_pylist()
    found = [(row["split"], row["path"], row["identity"], row["camera"], row["frame"]) for row in rows]
    assert found == [(split, *record) for split, records in RECORDS[name].items() for record in records]
    assert {len(row["content"]) for row in rows} == {32}
    assert {(row["width"], row["height"]) for row in rows} == {(64, 128)}


def check_result(project: Path, name: str) -> None:
    results = project / "results" / "runs" / f"tiny__{name}__s0"
    rows = pq.read_table(results / "queries.parquet").to_pylist()
    assert [(row["path"], row["identity"], row["camera"]) for row in rows] == [r[:3] for r in RECORDS[name]["query"]]
    for row, (ranked, match) in zip(rows, RANKED[name], strict=True):
        assert sorted(row["gallery"]) == ranked
        assert row["first_hit"] == row["gallery"].index(match) + 1
        assert row["ap"] == pytest.approx(1 / row["first_hit"])
    record = json.loads((results / "record.json").read_text())
    info = json.loads((project / "data" / "prepared" / name / "info.json").read_text())
    assert record["epochs"] == 2
    assert record["data_hashes"] == {name: info["data_hash"]}
