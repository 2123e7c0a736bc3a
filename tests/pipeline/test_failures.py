"""What stops a run is said in a sentence, kept as the attempt's reason, and leaves nothing half-written."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from harness.commands.list import listing
from harness.errors import DiskError, OutOfMemoryError, UserError
from harness.inputs.json import sealed
from harness.labels import cluster
from harness.learning import state
from harness.paths import attempts_folder, prepared_folder, run_folder
from harness.pipeline.evaluate import evaluate
from harness.pipeline.pipelines import write_plan
from harness.pipeline.records import Record
from harness.pipeline.training.train import train
from harness.specs import Pairing
from tests.learning.parts import network
from tests.methods.parts import shuffle_identities
from tests.pipeline.tiny import Tiny, files_below, history, read, same_weights, silent, write
from tests.pretend.accelerator import pretend_gpu

METHOD = "cluster-contrast"
Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def pairing(tiny: Tiny) -> Pairing:
    return tiny.pairing(METHOD)


@pytest.fixture
def project(tiny: Tiny, pairing: Pairing, tmp_path: Path) -> Tiny:
    """A project with specs of its own, in which the run has yet to be trained."""
    fresh = tiny.fresh(tmp_path / "project", pairing)
    (fresh.root / "methods").unlink()
    shutil.copytree(tiny.root / "methods", fresh.root / "methods")
    return fresh


def changed(project: Tiny, change: Change) -> Tiny:
    """The project with its method's spec changed."""
    path = project.root / "methods" / f"{METHOD}.yaml"
    spec = read(path)
    change(spec)
    write(path, spec)
    return Tiny.at(project.root)


def drawn(spec: dict[str, Any]) -> dict[str, Any]:
    section: dict[str, Any] = spec["regimes"]["drawn"]
    return section


def clustering(**values: object) -> Change:
    return lambda spec: drawn(spec)["params"]["labels"]["clustering"].update(values)


def compute(**values: object) -> Change:
    return lambda spec: drawn(spec)["compute"].update(values)


ADVICE = "102 images; try a "
FAILURES: dict[str, tuple[Change, str, str]] = {
    "a rate that breaks the weights": (
        compute(optimizer={"kind": "adam", "learning_rate": 1e30, "weight_decay": 0}),
        "nan",
        "epoch 1, iteration 2: loss 'total' is nan",
    ),
    "no cluster": (clustering(min_samples=100), "no-clusters", f"epoch 1: clustering found no cluster in {ADVICE}"),
    "one cluster": (clustering(eps=0.999), "no-clusters", f"epoch 1: clustering found one single cluster in {ADVICE}"),
    "a batch of more images than there are": (
        compute(batch={"identities": 64, "instances": 8}),
        "bad-input",
        "fewer than a batch of 64×8: choose a smaller batch",
    ),
    "a start of another architecture": (
        compute(network=network("resnet18").model_dump()),
        "bad-input",
        "belongs to another architecture: ",
    ),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_run_that_cannot_go_on(project: Tiny, pairing: Pairing, failure: str) -> None:
    change, reason, said = FAILURES[failure]
    project = changed(project, change)
    with pytest.raises(UserError, match=re.escape(said)):
        train(project.registry, pairing, silent)
    assert not run_folder(project.root, pairing.key).exists()
    write_plan(project.registry, [pairing])
    (row,) = listing(Tiny.at(project.root).registry, "runs")
    assert row["status"] == "failed"
    assert row["reason"].startswith(f"{reason}: ")
    assert said in row["reason"]


def test_a_run_that_is_mended_starts_afresh(tiny: Tiny, project: Tiny, pairing: Pairing) -> None:
    broken = changed(project, clustering(min_samples=100))
    with pytest.raises(UserError, match="no cluster"):
        train(broken.registry, pairing, silent)
    mended = changed(project, clustering(min_samples=2))
    assert same_weights(train(mended.registry, pairing, silent), tiny.trained(pairing))


def test_labels_that_collapse_later_keep_the_last_good_ones(
    project: Tiny, pairing: Pairing, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[float] = []

    def collapsing(distance: Any, eps: float, min_samples: int) -> Any:
        calls.append(eps)
        found = cluster(distance, eps, min_samples)
        return found if len(calls) == 1 else found * 0

    monkeypatch.setattr("harness.labels.clusterings.dbscan.cluster", collapsing)
    folder = train(project.registry, pairing, silent)
    notes = json.loads((folder / "record.json").read_text())["notes"]
    assert notes == ["epoch 2: clustering found one single cluster; the labels of the epoch before were kept"]


def test_a_full_disk_at_the_first_epochs_end(project: Tiny, pairing: Pairing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "save_file", full_disk)
    with pytest.raises(UserError, match=r"cannot be written: .*No space left on device; free some space"):
        train(project.registry, pairing, silent)
    assert [path.name for path in files_below(project.root / "results" / "work")] == []
    assert last_attempt(project, pairing)["reason"] == "disk"


def test_a_full_disk_at_the_runs_end(project: Tiny, pairing: Pairing, monkeypatch: pytest.MonkeyPatch) -> None:
    untouched = Path.write_text

    def write_text(path: Path, text: str, **how: Any) -> int:
        if path.name.startswith("history.csv"):
            untouched(path, text[: len(text) // 2], **how)
            raise OSError(errno.ENOSPC, "No space left on device")
        return untouched(path, text, **how)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", write_text)
        with pytest.raises(UserError, match=r"history\.csv: cannot be written: No space left on device; free space"):
            train(project.registry, pairing, silent)
    folder = run_folder(project.root, pairing.key)
    assert [path.name for path in files_below(folder)] == ["checkpoint.safetensors"]  # complete, since it is atomic
    train(project.registry, pairing, silent)  # with space again, from the last epoch that was saved
    assert {path.name for path in files_below(folder)} == {"checkpoint.safetensors", "history.csv", "record.json"}


def test_results_that_cannot_be_written_to(project: Tiny, pairing: Pairing) -> None:
    blocked = project.root / "results"
    shutil.rmtree(blocked)
    blocked.write_text("a file where the folder should be, for whom permissions mean nothing")
    with pytest.raises(UserError, match=r"results.*: (cannot be|no such)"):
        train(project.registry, pairing, silent)
    assert blocked.is_file()


def full_disk(tensors: object, path: Path, metadata: object) -> None:
    path.write_bytes(b"half of it")
    raise OSError(errno.ENOSPC, "No space left on device")


def last_attempt(project: Tiny, pairing: Pairing) -> dict[str, Any]:
    documents = sorted(attempts_folder(project.root, pairing.key).glob("*.json"))
    content: dict[str, Any] = json.loads(documents[-1].read_text())
    return content


def test_a_start_that_has_not_been_trained(project: Tiny, pairing: Pairing) -> None:
    (start,) = project.registry.init_pairings(pairing)
    shutil.rmtree(run_folder(project.root, start.key))
    with pytest.raises(UserError, match=f"{start.key}/checkpoint.safetensors: no such checkpoint"):
        train(project.registry, pairing, silent)


def test_data_that_has_not_been_prepared(project: Tiny, pairing: Pairing) -> None:
    (project.root / "data").unlink()
    with pytest.raises(UserError, match=f"is not prepared yet; run: dvc repro prepare@{pairing.target}"):
        train(project.registry, pairing, silent)


def test_an_evaluation_without_a_run_or_of_a_damaged_one(project: Tiny, pairing: Pairing) -> None:
    with pytest.raises(UserError, match="no such checkpoint"):
        evaluate(project.registry, pairing)
    checkpoint = train(project.registry, pairing, silent) / "checkpoint.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:-100])
    with pytest.raises(UserError, match="not a readable checkpoint"):
        evaluate(project.registry, pairing)
    assert not (checkpoint.parent / "metrics.json").exists()


def test_an_evaluation_of_what_is_not_one_run(project: Tiny, pairing: Pairing) -> None:
    folder = train(project.registry, pairing, silent)
    whole = {name: (folder / name).read_bytes() for name in ("checkpoint.safetensors", "history.csv", "record.json")}
    weights = {"fc.weight": torch.ones(3, 4)}

    def foreign() -> None:  # as another program writes it
        save_file(weights, folder / "checkpoint.safetensors", {"format": "pt"})

    def another_runs() -> None:
        state.write_tensors(weights, folder / "checkpoint.safetensors", {"key": "mmt__drawn-summer__s0"})

    def of_a_class_that_is_gone() -> None:
        record = Record.model_validate_json(whole["record.json"])
        record = record.model_copy(update={"spec": record.spec | {"algorithm": "methods.gone:Gone"}})
        (folder / "record.json").write_text(sealed(record))

    for spoil, said in {
        foreign: "checkpoint.safetensors: damaged",
        another_runs: "checkpoint.safetensors: is not the checkpoint that record.json describes",
        lambda: (folder / "history.csv").unlink(): r"history\.csv: no such file",
        lambda: (folder / "history.csv").write_text("epoch\n1\n"): "history.csv is not the one that record.json",
        lambda: (folder / "record.json").unlink(): r"record\.json: no such file",
        lambda: (folder / "record.json").write_bytes(whole["record.json"].replace(b'"seed": 0', b'"seed": 1')): (
            "record.json: is damaged, or was edited"
        ),
        of_a_class_that_is_gone: "'methods.gone:Gone' cannot be imported",
    }.items():
        spoil()
        with pytest.raises(UserError, match=said):
            evaluate(project.registry, pairing)
        assert not (folder / "metrics.json").exists()
        for name, data in whole.items():
            (folder / name).write_bytes(data)
    assert evaluate(project.registry, pairing).record_sha256


def test_a_half_written_attempt_is_cleared_when_it_is_nobodys(project: Tiny, pairing: Pairing) -> None:
    folder = attempts_folder(project.root, pairing.key)
    folder.mkdir(parents=True)
    (folder / "0001-train.json.partial").write_text("{")
    (folder / "0002-train.json.partial").write_text("{")
    os.utime(folder / "0001-train.json.partial", (0, 0))
    train(project.registry, pairing, silent)
    assert [path.name for path in sorted(folder.iterdir())] == ["0001-train.json", "0002-train.json.partial"]


@pytest.mark.parametrize(
    "error", [SafetensorError("I/O error: No space left on device"), OSError(errno.EDQUOT, "Disk quota exceeded")]
)
def test_a_full_disk_has_its_own_class_whichever_library_meets_it(
    project: Tiny, pairing: Pairing, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def full(*_: object) -> None:
        raise error

    monkeypatch.setattr(state, "save_file", full)
    with pytest.raises(DiskError, match="free some space"):
        train(project.registry, pairing, silent)
    assert last_attempt(project, pairing)["reason"] == "disk"


def test_memory_that_runs_out(project: Tiny, pairing: Pairing, monkeypatch: pytest.MonkeyPatch) -> None:
    def run_out(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr("harness.pipeline.training.train.run_epochs", run_out)
    monkeypatch.setenv("HARNESS_DEVICE", "cuda")
    with pretend_gpu(), pytest.raises(OutOfMemoryError, match=r"out of memory: .*what needs less: precision: bf16"):
        train(project.registry, pairing, silent)
    assert last_attempt(project, pairing)["reason"] == "out-of-memory"


def test_identities_reach_the_diagnostics_and_nothing_else(tiny: Tiny, pairing: Pairing, tmp_path: Path) -> None:
    blind = tiny.fresh(tmp_path / "blind", pairing)
    (blind.root / "data").unlink()
    shutil.copytree(prepared_folder(tiny.root, pairing.target), prepared_folder(blind.root, pairing.target))
    shuffle_identities(prepared_folder(blind.root, pairing.target))
    folder, undisturbed = train(blind.registry, pairing, silent), tiny.trained(pairing)
    assert same_weights(folder, undisturbed)
    for row, expected in zip(history(folder), history(undisturbed), strict=True):
        differing = {name for name in row if row[name] != expected[name]}
        assert differing <= {"ari", "nmi", "purity"}
        assert "ari" in differing
