"""The epoch chosen without labels: which it is, what it scores, and that an interruption changes neither."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
import torch

from harness.labels.label_free import RULE, score
from harness.learning.state import RunState
from harness.pipeline.evaluate import evaluate
from harness.pipeline.records import LABEL_FREE_COLUMNS, Metrics
from harness.pipeline.training import selection
from harness.pipeline.training.train import train
from tests.pipeline.tiny import Tiny, history, interrupt_in_epoch, read, silent, write


def numbers(folder: Path) -> list[dict[str, float]]:
    with (folder / "history.csv").open(newline="", encoding="utf-8") as file:
        return [{name: float(cell) for name, cell in row.items() if cell} for row in csv.DictReader(file)]


@pytest.mark.parametrize("method", ["cluster-contrast", "spcl", "uda-baseline", "mmt"])
def test_every_method_with_pseudo_labels_has_the_figures(tiny: Tiny, method: str) -> None:
    folder = tiny.trained(tiny.pairing(method))
    rows = numbers(folder)
    for number, row in enumerate(rows):
        assert set(LABEL_FREE_COLUMNS) - row.keys() <= ({"agreement"} if number == 0 else set())
        assert -1 <= row["silhouette"] <= 1
        assert 0 <= row["camera_bias"] <= 1
    record = json.loads((folder / "record.json").read_text())
    chosen = record["chosen_without_labels"]
    scores = [score(row) for row in rows]
    last_best = max(range(len(rows)), key=lambda epoch: (scores[epoch], epoch))
    assert (chosen["epoch"], chosen["rule"]) == (last_best + 1, RULE)
    assert record["train_cameras"] is True
    metrics = evaluate(tiny.registry, tiny.pairing(method))
    assert isinstance(metrics, Metrics)
    assert metrics.chosen_without_labels is not None
    assert metrics.chosen_without_labels.model_dump() == chosen
    assert json.loads((folder / "metrics.json").read_text())["chosen_without_labels"] == chosen


def test_a_run_without_pseudo_labels_has_no_choice(tiny: Tiny) -> None:
    folder = tiny.trained(tiny.pairing("source-baseline"))
    assert json.loads((folder / "record.json").read_text())["chosen_without_labels"] is None
    assert not {*LABEL_FREE_COLUMNS} & numbers(folder)[0].keys()


def test_the_chosen_weights_survive_an_interruption(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the first epoch may be chosen, only the last is evaluated on the way: the first's weights must be kept."""
    pairing = tiny.pairing("cluster-contrast")
    monkeypatch.setattr(selection, "score", lambda row: score(row) if row["epoch"] == 1 else None)

    def project(name: str) -> Tiny:
        found = tiny.fresh(tmp_path / name, pairing)
        (found.root / "methods").unlink()
        shutil.copytree(tiny.root / "methods", found.root / "methods")
        path = found.root / "methods" / "cluster-contrast.yaml"
        spec = read(path)
        spec["regimes"]["drawn"]["compute"]["evaluate_every"] = 2
        write(path, spec)
        return Tiny.at(found.root)

    whole = train(project("whole").registry, pairing, silent)
    stopped = project("stopped")
    with pytest.raises(KeyboardInterrupt):
        train(stopped.registry, pairing, interrupt_in_epoch(2))
    again = train(stopped.registry, pairing, silent)
    first, second = (json.loads((folder / "record.json").read_text()) for folder in (whole, again))
    assert (first["resumed"], second["resumed"]) == (0, 1)
    assert first["chosen_without_labels"] == second["chosen_without_labels"]
    assert history(whole) == history(again)
    assert "target_map" not in numbers(whole)[0]
    evaluated = numbers(tiny.trained(pairing))[0]  # the same run, but for what it looks at on the way
    chosen = first["chosen_without_labels"]
    assert (chosen["epoch"], chosen["map"], chosen["rank1"]) == (1, evaluated["target_map"], evaluated["target_rank1"])


def test_the_state_keeps_one_copy_of_the_best_epoch() -> None:
    state, weights = RunState(), {"w": torch.zeros(2)}
    rows = [{"epoch": n + 1, "silhouette": s, "outliers": 0.0} for n, s in enumerate([0.2, None, 0.5, 0.4, 0.5])]
    kept = []
    for row in rows:
        weights["w"] += 1
        selection.consider(state, row, lambda: weights)
        kept.append(state.tensors["chosen/w"].tolist())
    assert kept == [[1, 1], [1, 1], [3, 3], [3, 3], [5, 5]]  # of equals, the later
    assert state.values[selection.CHOSEN] == {"epoch": 5, "score": 0.5}
    assert list(state.tensors) == ["chosen/w"]
