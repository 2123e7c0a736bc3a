"""Real photographs, from a folder of crops to a search: only where somebody has such a folder and weights.

    HARNESS_REAL_FOLDER=~/faces HARNESS_REAL_WEIGHTS=~/mobilenet_v2.pth python -m pytest -m real

The folder holds one folder per individual, as the ORL faces do; half of each one's pictures play a camera. The
first half of the individuals is adapted to, their identities unread; the others are searched for.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import time
from pathlib import Path

import pytest

from harness.pipeline.evaluate import evaluate
from harness.pipeline.records import Metrics
from harness.pipeline.training.train import train
from harness.specs import Pairing, Registry
from tests.test_cli import Command, harness

__all__ = ["harness"]

PROJECT = Path(__file__).parents[1]
SEED = 0


def arrange(source: Path, folder: Path) -> None:
    """Copy the pictures into train (no identity in a name), query and gallery."""
    people = sorted(path for path in source.iterdir() if path.is_dir())
    for number, person in enumerate(people):
        pictures = sorted(path for path in person.iterdir() if path.is_file())
        for index, picture in enumerate(pictures):
            camera = "ab"[2 * index // len(pictures)]
            if number < len(people) // 2:
                name = f"train/{camera}/{number * 1000 + index * 7919 % 1000:06}{picture.suffix}"
            else:
                split = "query" if index in (0, len(pictures) - 1) else "gallery"
                name = f"{split}/{camera}/{number:04}_{index}{picture.suffix}"
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(picture, folder / name)


@pytest.mark.real
def test_from_a_folder_to_a_search(
    harness: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def say(line: str) -> None:
        with capsys.disabled():
            print(line, flush=True)

    source, weights = (os.environ.get(f"HARNESS_REAL_{name}") for name in ("FOLDER", "WEIGHTS"))
    if not source or not weights:
        pytest.skip("HARNESS_REAL_FOLDER and HARNESS_REAL_WEIGHTS name no pictures and weights")
    monkeypatch.setenv("HARNESS_DEVICE", "cpu")
    root, crops = tmp_path / "project", tmp_path / "crops"
    shutil.copytree(PROJECT / "methods", root / "methods")
    (root / "methods" / "__init__.py").unlink()  # this checkout's code runs
    (root / "datasets").mkdir()
    (root / "dvc.yaml").touch()
    (root / "data" / "weights").mkdir(parents=True)
    shutil.copy2(weights, root / "data" / "weights" / "mobilenet-v2.pth")
    arrange(Path(source), crops)
    code, out, err = harness(root, "data", "add", "own", str(crops), "--yes")
    assert code == 0, err
    assert "training images have no identities" in out
    code, _, err = harness(root, "data", "prepare", "own")
    assert code == 0, err
    registry = Registry.load(root)
    start, adapted = Pairing("generic-init", None, "own", SEED), Pairing("cluster-contrast", None, "own", SEED)
    scores = {}
    for pairing in (start, adapted):
        begun, spent = time.monotonic(), time.process_time()
        train(registry, pairing, say)
        metrics = evaluate(registry, pairing)
        assert isinstance(metrics, Metrics)
        scores[pairing.method] = metrics.map
        say(
            f"{pairing.key}: mAP {metrics.map:.1f}, Rank-1 {metrics.rank1:.1f}, mINP {metrics.minp:.1f}; "
            f"{time.monotonic() - begun:.0f} s, of one core {time.process_time() - spent:.0f}"
        )
    with (root / "results" / "runs" / adapted.key / "history.csv").open(newline="") as file:
        epochs = list(csv.DictReader(file))
    for name in ("clusters", "outliers", "silhouette", "agreement", "camera_bias"):
        say(f"{name}, each epoch: {' '.join(epoch[name][:6] or '-' for epoch in epochs)}")
    assert scores["cluster-contrast"] > 50  # a random ranking has about 9
    code, out, err = harness(root, "calibrate", adapted.key, "--dataset", "own")
    assert code == 0, err
    say(out)
    query = sorted((crops / "query").rglob("*.*"))[0]
    code, out, err = harness(
        root, "search", adapted.key, str(query), "--gallery", str(crops / "gallery"), "--top", "3", "--json"
    )
    assert code == 0, err
    (answer,) = json.loads(out)
    say(str(answer))
    assert Path(answer["hits"][0]["path"]).name.split("_")[0] == query.name.split("_")[0]
