"""What a run's record says about how its pseudo-labels came about."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.pipeline.training.train import train
from tests.pipeline.tiny import Tiny, silent


def test_the_recall_of_an_approximate_search_is_recorded(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairing = tiny.pairing("cluster-contrast")
    exact = json.loads((tiny.trained(pairing) / "record.json").read_text())
    assert exact["neighbours"] == {"search": "exact", "recall": 1}

    monkeypatch.setattr("harness.labels.neighbours.nearest_neighbours.__kwdefaults__", {"approximate_above": 50})
    project = tiny.fresh(tmp_path / "project", pairing)
    found = json.loads((train(Tiny.at(project.root).registry, pairing, silent) / "record.json").read_text())
    assert found["neighbours"]["search"] == "hnsw"
    assert 0.9 < found["neighbours"]["recall"] <= 1


def test_a_run_without_pseudo_labels_searched_nothing(tiny: Tiny) -> None:
    record = json.loads((tiny.trained(tiny.pairing("source-baseline")) / "record.json").read_text())
    assert record["neighbours"] is None
