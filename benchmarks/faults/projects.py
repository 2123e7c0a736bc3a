"""The projects that faults are injected into: one with results, one in which a run trains in a second."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

from benchmarks.faults.processes import forked
from harness.inputs.json import sealed
from harness.paths import run_folder
from harness.pipeline.records import Metrics, Record
from harness.store import ingest, open_store, views
from harness.store.database import database_url
from tests.pipeline.tiny import TARGET, history, read, write, write_specs
from tests.store.factory import Project, small_project

METHOD = "cluster-contrast"
TRAINED = f"{METHOD}__{TARGET}__s0"
"""The run of the tiny project."""


def figures(root: Path) -> list[tuple[object, ...]]:
    """Return what the database says of every run."""
    store = open_store(database_url(root), read_only=True)
    try:
        return [(run.key, run.map, run.rank1, run.rank5, run.rank10, run.minp) for run in views.runs(store)]
    finally:
        store.close()


def with_results(folder: Path, images: bool = False) -> tuple[Project, list[tuple[object, ...]], Path]:
    """Return a project whose ten runs were taken in undisturbed, its figures, and its database."""
    project = small_project(folder / "project", images)
    (project.root / "dvc.yaml").write_text("stages: {}\n")
    for run in (project.root / "results" / "runs").iterdir():
        record, metrics = run / "record.json", run / "metrics.json"
        record.write_text(sealed(Record.model_validate_json(record.read_bytes())))
        stated = {"record_sha256": hashlib.sha256(record.read_bytes()).hexdigest()}
        metrics.write_text(sealed(Metrics.model_validate_json(metrics.read_bytes()).model_copy(update=stated)))
    ingest(project.root)
    return project, figures(project.root), Path(database_url(project.root))


def delete_database(path: Path) -> None:
    """Delete the database and what SQLite keeps beside it."""
    for old in path.parent.glob(f"{path.name}*"):
        old.unlink()


class Tiny:
    """A project with drawn images and one method of three short epochs, and what its run gives undisturbed."""

    def __init__(self, folder: Path) -> None:
        self.root, self.result = folder / "tiny", folder / "undisturbed"
        if not self.root.exists():
            self._make()

    def _make(self) -> None:
        write_specs(self.root, [METHOD])
        (self.root / "dvc.yaml").write_text("stages: {}\n")
        path = self.root / "methods" / f"{METHOD}.yaml"
        spec = read(path)
        spec["judged_against"] = []  # which is not here
        spec["regimes"]["drawn"] |= {"init": "random"}
        spec["regimes"]["drawn"]["compute"] |= {"epochs": 3}
        write(path, spec)
        for command in (("data", "draw", TARGET), ("data", "prepare", TARGET), ("plan", "--seeds", "0")):
            self.must(*command)
        self.must("train", TRAINED)
        self.must("evaluate", TRAINED)
        shutil.copytree(run_folder(self.root, TRAINED), self.result)
        shutil.rmtree(self.root / "results" / "runs")

    def must(self, *command: str) -> None:
        """Run a command that has to succeed."""
        code, said = forked(self.root, *command).wait()
        if code:
            raise RuntimeError(f"{' '.join(command)}: {said}")

    def fresh(self, folder: Path) -> Path:
        """Return a new copy of the project, in which the run has yet to be trained."""
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.root, folder, symlinks=True)
        return folder

    def difference(self, root: Path) -> str | None:
        """Return in what the run under `root` differs from the undisturbed one, or what was left behind."""
        folder = run_folder(root, TRAINED)
        for name in ("checkpoint.safetensors", "queries.parquet"):
            if not (folder / name).exists():
                return f"there is no {name}"
            if (folder / name).read_bytes() != (self.result / name).read_bytes():
                return f"other bytes of {name}"
        if history(folder) != history(self.result):
            return "another history"
        if _scores(folder) != _scores(self.result):
            return "other scores"
        left = [str(path.relative_to(root)) for path in root.rglob("*") if path.suffix in (".partial", ".part")]
        left += [str(path.relative_to(root)) for path in (root / "results" / "work").glob("*")]
        return f"left behind: {', '.join(left)}" if left else None

    def finished(self, root: Path) -> str | None:
        """Train and evaluate undisturbed, and return what is wrong then."""
        for command in ("train", "evaluate"):
            code, said = forked(root, command, TRAINED).wait()
            if code:
                return f"the next {command} fails: exit {code}: {said[-300:]}"
        return self.difference(root)


def _scores(folder: Path) -> dict[str, object]:
    document = json.loads((folder / "metrics.json").read_text())
    return {name: document[name] for name in ("map", "rank1", "rank5", "rank10", "minp", "best_on_test", "queries")}
