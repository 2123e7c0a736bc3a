"""Signals in every command, and in whole pipelines."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.faults.processes import forked, last_line, spawned, started, verdict
from benchmarks.faults.projects import TRAINED, Tiny
from harness.paths import run_folder
from tests.pipeline.tiny import TARGET, read, write

Cases = Iterator[tuple[str | None, str]]
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
COMMANDS = (
    ("list", "runs"), ("check",), ("plan",), ("leaderboard",), ("leaderboard", "--format", "csv", "--output", "b.csv"),
    ("data", "draw", TARGET), ("data", "prepare", TARGET), ("data", "verify", TARGET), ("data", "show", TARGET),
    ("data", "add", "copied", "source"), ("data", "add", "copied", "source.tar"), ("train", TRAINED),
    ("evaluate", TRAINED), ("inspect", TRAINED), ("calibrate", TRAINED, "--dataset", TARGET), ("show", TRAINED),
    ("embed", TRAINED, f"data/raw/{TARGET}/query", "--output", "features.npy"), ("site", "build/board"), ("doctor",),
    ("export", TRAINED, "--format", "safetensors"), ("schema",), ("results", "report"), ("code",), ("data", "specs"),
)  # fmt: skip
TEMPORARY = (".partial", ".part", ".source")


def commands(source: random.Random, folder: Path) -> Cases:
    """SIGINT, SIGTERM or SIGHUP: one line and 130, no process or file left behind, and the next call goes on."""
    tiny = Tiny(folder.parent)
    root = tiny.fresh(folder / "project")
    tiny.finished(root)
    forked(root, "leaderboard").wait()
    _to_add(root)
    while True:
        arguments, number = source.choice(COMMANDS), source.choice(SIGNALS)
        begin = started if source.random() < 0.5 else forked  # with and without the time in which Python imports
        child = begin(root, *arguments)
        time.sleep(source.uniform(0.05, 3.0 if begin is started else 1.0))
        child.send(number)
        code, said = child.wait()
        wrong = None if code == -number else verdict(code, said, interrupted=True)  # it came before Python had begun
        if child.orphans():
            wrong = wrong or "a process is left"
        left = [str(path.relative_to(root)) for path in root.rglob("*") if path.name.endswith(TEMPORARY)]
        left = [name for name in left if not name.startswith("data/raw/.")]  # an import that the next call continues
        wrong = wrong or (f"left behind: {left}" if left else None)
        again, then = forked(root, *arguments).wait()
        wrong = wrong or verdict(again, then)
        shutil.rmtree(root / "data" / "raw" / "copied", ignore_errors=True)
        yield wrong and f"{' '.join(arguments)}, {number.name}: {wrong}", last_line(said, root) or "ended before it"


def _to_add(root: Path) -> None:
    """A dataset to import, as a folder and as an archive."""
    source = root / "data" / "raw" / TARGET
    shutil.copytree(source, root / "source", ignore=shutil.ignore_patterns("manifest.parquet"))
    shutil.make_archive(str(root / "source"), "tar", root / "source")
    document = read(root / "datasets" / f"{TARGET}.yaml")
    document.pop("drawn")
    write(root / "datasets" / "copied.yaml", document | {"name": "copied"})


def pipelines(source: random.Random, folder: Path) -> Cases:
    """`dvc repro` or `harness run` is killed or signalled, then repeated: the bytes of an undisturbed pipeline."""
    from tests.pipeline.versioned import versioned_project

    root = folder / "versioned"
    project = versioned_project(root)
    project.run("harness", "run")
    keys = [path.name for path in (root / "results" / "runs").iterdir()]
    right = {key: _outputs(run_folder(root, key)) for key in keys}
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    own = {"PATH": programs, "PYTHONPATH": str(root), "DVC_SITE_CACHE_DIR": str(folder / "site-cache")}
    begun = time.monotonic()
    while True:
        for path in (root / "pipelines").glob("*/dvc.lock"):
            path.unlink()
        for place in (".dvc/cache", "results/runs", "results/work"):
            shutil.rmtree(root / place, ignore_errors=True)
        command = source.choice([["dvc", "repro"], ["harness", "run"]])
        number = source.choice((signal.SIGKILL, *SIGNALS))
        child = spawned(root, command, own)
        time.sleep(source.uniform(1, max(10.0, (time.monotonic() - begun) / 2)))
        child.send(number)
        code, said = child.wait()
        seen = "ended before it" if code == 0 else last_line(said, root) or f"{command[0]} ends; the next call goes on"
        wrong = None
        if command[0] == "harness" and code not in (0, -number):  # what DVC says at its end is DVC's
            wrong = verdict(code, said, interrupted=True)
        wrong = wrong or ("a process is left" if child.orphans() else None)
        again, then = spawned(root, command, own).wait(600)
        wrong = wrong or (None if again == 0 else f"the next {' '.join(command)} fails: {then[-300:]}")
        found = {key: _outputs(run_folder(root, key)) for key in keys}
        wrong = wrong or (None if found == right else "other bytes")
        begun = time.monotonic()
        yield wrong and f"{' '.join(command)}, {number.name}: {wrong}", seen


def _outputs(folder: Path) -> dict[str, bytes]:
    names = ("checkpoint.safetensors", "queries.parquet")
    return {name: (folder / name).read_bytes() for name in names if (folder / name).exists()}
