"""A run that was stopped, in whatever way, ends in the bits of one that was not."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.commands.list import listing
from harness.errors import UserError
from harness.paths import attempts_folder, run_folder, work_file
from harness.pipeline.pipelines import write_plan
from harness.pipeline.records import Record
from harness.pipeline.training.train import train
from harness.specs import Pairing
from harness.store import ingest, live, open_store, views
from harness.store.database import database_url
from tests.pipeline.tiny import (
    PROJECT,
    Tiny,
    history,
    interrupt_in_epoch,
    read,
    same_weights,
    silent,
    write,
)

METHOD = "cluster-contrast"


@pytest.fixture(scope="module")
def pairing(tiny: Tiny) -> Pairing:
    return tiny.pairing(METHOD)


@pytest.fixture(scope="module")
def undisturbed(tiny: Tiny, pairing: Pairing) -> Path:
    """The folder of the run that nothing stopped."""
    return tiny.trained(pairing)


@pytest.fixture
def project(tiny: Tiny, pairing: Pairing, tmp_path: Path) -> Tiny:
    """A project in which the run has yet to be trained."""
    fresh = tiny.fresh(tmp_path / "project", pairing)
    (fresh.root / "dvc.yaml").touch()
    return fresh


def status(project: Tiny, pairing: Pairing) -> tuple[str, str]:
    write_plan(project.registry, [pairing])
    (row,) = listing(Tiny.at(project.root).registry, "runs")
    return row["status"], row["reason"]


def attempts(project: Tiny, pairing: Pairing) -> list[tuple[str, str]]:
    documents = sorted(attempts_folder(project.root, pairing.key).glob("*.json"))
    return [(done["status"], done["reason"]) for done in map(json.loads, (path.read_text() for path in documents))]


def in_the_database(project: Tiny, pairing: Pairing) -> tuple[str, str]:
    ingest(project.root)
    store = open_store(database_url(project.root), read_only=True)
    (row,) = [row for row in views.matrix(store) if (row.method, row.task) == (pairing.method, pairing.task)]
    return row.state, row.reason


def on_the_page(project: Tiny, pairing: Pairing) -> tuple[str, str]:
    found = live.tried(project.root)[pairing.key]
    return found.state, found.reason


def resumed(project: Tiny, pairing: Pairing) -> int:
    record = (run_folder(project.root, pairing.key) / "record.json").read_text()
    return Record.model_validate_json(record).resumed


@pytest.mark.parametrize(
    ("number", "iteration", "code", "left_behind"),
    [
        (signal.SIGKILL, 4, -signal.SIGKILL, ("running", "")),
        (signal.SIGTERM, 3, 130, ("interrupted", "interrupted")),
    ],
)
def test_killed_in_the_middle_of_an_iteration(
    project: Tiny,
    pairing: Pairing,
    undisturbed: Path,
    number: signal.Signals,
    iteration: int,
    code: int,
    left_behind: tuple[str, str],
) -> None:
    command = [sys.executable, "-m", "tests.pipeline.kill", pairing.key, str(int(number)), str(iteration)]
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "HARNESS_DEVICE": "cpu"}
    done = subprocess.run(command, cwd=project.root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert attempts(project, pairing) == [left_behind]
    said, reason = status(project, pairing)
    assert said == "interrupted"
    assert "run it again to resume" in reason
    assert (said, reason) == in_the_database(project, pairing) == on_the_page(project, pairing)
    assert not run_folder(project.root, pairing.key).exists()

    lines: list[str] = []
    folder = train(project.registry, pairing, lines.append)
    assert lines[0] == f"{pairing.key}: resumed after epoch 1"
    assert same_weights(folder, undisturbed)
    assert history(folder) == history(undisturbed)
    assert resumed(project, pairing) == 1
    assert attempts(project, pairing)[-1] == ("finished", "")
    assert not work_file(project.root, pairing.key).exists()


def test_stopped_twice(project: Tiny, pairing: Pairing, undisturbed: Path) -> None:
    for epoch in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            train(project.registry, pairing, interrupt_in_epoch(epoch))
    folder = train(project.registry, pairing, silent)
    assert same_weights(folder, undisturbed)
    assert history(folder) == history(undisturbed)
    assert [said for said, _ in attempts(project, pairing)] == ["interrupted", "interrupted", "finished"]
    assert resumed(project, pairing) == 1  # the first stop came before any epoch was saved


def test_another_seed_ends_elsewhere(project: Tiny, pairing: Pairing, undisturbed: Path) -> None:
    other = Pairing(pairing.method, pairing.source, pairing.target, 1)
    assert not same_weights(train(project.registry, other, silent), undisturbed)


@pytest.mark.parametrize("changed", ["spec", "data", "start"])
def test_what_was_begun_otherwise_is_not_continued(
    tiny: Tiny, project: Tiny, pairing: Pairing, undisturbed: Path, changed: str
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(project.registry, pairing, interrupt_in_epoch(2))
    if changed == "spec":
        own(project.root / "methods")
        path = project.root / "methods" / f"{METHOD}.yaml"
        spec = read(path)
        spec["regimes"]["drawn"]["params"]["temperature"] = 0.07
        write(path, spec)
    elif changed == "data":
        own(project.root / "data")
        path = project.root / "data" / "prepared" / pairing.target / "info.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"data_hash": "of other images"}))
    else:
        (start,) = project.registry.init_pairings(pairing)
        other = tiny.trained(Pairing(start.method, start.source, start.target, 1))
        shutil.copytree(other, run_folder(project.root, start.key), dirs_exist_ok=True)
    lines: list[str] = []
    folder = train(Tiny.at(project.root).registry, pairing, lines.append)
    assert lines[0].endswith("its spec, data or code differs: starting afresh")
    assert resumed(project, pairing) == 0
    assert same_weights(folder, undisturbed) == (changed == "data")  # the images are the same ones, whatever their hash


def own(folder: Path) -> None:
    """Make a shared folder the project's own."""
    shared = folder.resolve()
    folder.unlink()
    shutil.copytree(shared, folder)


def test_a_damaged_unfinished_state_says_what_to_do(project: Tiny, pairing: Pairing) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(project.registry, pairing, interrupt_in_epoch(2))
    path = work_file(project.root, pairing.key)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match=r"not a readable checkpoint .*; delete it and train again"):
        train(project.registry, pairing, silent)
