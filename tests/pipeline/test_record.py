"""What a run's record says about how its pseudo-labels came about."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from harness.pipeline.training.train import train
from tests.pipeline.tiny import Tiny, read, silent, write


def test_the_recall_of_an_approximate_search_is_recorded(tiny: Tiny, tmp_path: Path) -> None:
    pairing = tiny.pairing("cluster-contrast")
    exact = json.loads((tiny.trained(pairing) / "record.json").read_text())
    assert exact["neighbours"] == {"search": "exact", "recall": 1}
    assert exact["spec"]["params"]["labels"]["approximate_above"] == 300_000

    project = tiny.fresh(tmp_path / "project", pairing)
    (project.root / "methods").unlink()
    shutil.copytree(tiny.root / "methods", project.root / "methods")
    path = project.root / "methods" / "cluster-contrast.yaml"
    spec = read(path)
    spec["params"]["labels"]["approximate_above"] = 50
    write(path, spec)
    found = json.loads((train(Tiny.at(project.root).registry, pairing, silent) / "record.json").read_text())
    assert found["neighbours"]["search"] == "hnsw"
    assert 0.9 < found["neighbours"]["recall"] <= 1


def test_a_run_without_pseudo_labels_searched_nothing(tiny: Tiny) -> None:
    record = json.loads((tiny.trained(tiny.pairing("source-baseline")) / "record.json").read_text())
    assert record["neighbours"] is None
