"""What lies under `results/` now, from the files themselves: the database only knows what was taken in."""

from __future__ import annotations

import json
import os
import struct
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from harness.commands.list import alive
from harness.paths import work_file
from harness.pipeline.records import Attempt
from harness.store import views
from harness.store.database import Store
from harness.store.entries import SILENT
from harness.store.run_files import BrokenResultError, History, read_attempt

WATCHED = ("metrics.json", "queries.parquet", "record.json")
LONGEST_HEADER = 64 * 2**20


@dataclass(frozen=True)
class Trial:
    """The newest attempt at a run; `state` is what became of it, `reason` why or how far."""

    attempt: Attempt
    state: str
    reason: str


def trials(root: Path) -> dict[str, Trial]:
    """Return the newest attempt at every run, by key; a broken document counts as none."""
    found: dict[str, Trial] = {}
    with suppress(FileNotFoundError), os.scandir(root / "results" / "attempts") as folders:
        for folder in folders:
            with suppress(OSError):
                names = sorted(name for name in os.listdir(folder.path) if name.endswith(".json"))  # noqa: PTH208
                if names and (trial := _trial(Path(folder.path) / names[-1])) is not None:
                    found[trial.attempt.key] = trial
    return found


_known: dict[Path, tuple[int, Trial]] = {}
"""Ended attempts by path, with the time of the file: they change no more."""


def _trial(path: Path) -> Trial | None:
    changed = path.stat().st_mtime_ns
    if path in _known and _known[path][0] == changed:
        return _known[path][1]
    try:
        attempt = read_attempt(path)
    except BrokenResultError:
        return None
    trial = Trial(attempt, *attempt_state(attempt))
    if attempt.status != "running":
        _known[path] = (changed, trial)
    return trial


def attempt_state(attempt: Attempt) -> tuple[str, str]:
    """Return what became of an attempt, and why or how far it is."""
    if attempt.status == "running":
        if datetime.now(UTC) - attempt.updated > SILENT or not alive(attempt.pid):
            return "interrupted", f"no sign of life since {attempt.updated:%Y-%m-%d %H:%M} UTC"
        far = f", epoch {attempt.epoch} of {attempt.epochs}" if attempt.epochs else ""
        return "running", f"{attempt.stage}{far}"
    if attempt.status == "finished":
        return ("trained", "not evaluated yet") if attempt.stage == "train" else ("own", "")
    detail = f": {attempt.message.splitlines()[0]}" if attempt.message else ""
    return attempt.status, f"{attempt.reason or attempt.status}{detail}"


def untaken(root: Path, store: Store) -> list[str]:
    """Return the keys of evaluated runs under `results/` that are new or newer than what the database took in."""
    known = {run.key: run.published for run in views.runs(store)}
    rejected = {path for path, _ in views.snapshot(store).rejected}
    since = views.taken_in(store)
    found = []
    with suppress(FileNotFoundError), os.scandir(root / "results" / "runs") as folders:
        for folder in folders:
            with suppress(OSError):
                newest = max(os.stat(f"{folder.path}/{name}").st_mtime for name in WATCHED)  # noqa: PTH116
                missing = known.get(folder.name, True) and f"results/runs/{folder.name}" not in rejected
                if missing or newest > since:
                    found.append(folder.name)
    return sorted(found)


def unfinished_history(root: Path, key: str) -> History | None:
    """Return the curves of a run that is being trained, from the header of its unfinished state; None without one."""
    try:
        with work_file(root, key).open("rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            if size > LONGEST_HEADER:
                return None
            rows = json.loads(json.loads(file.read(size))["__metadata__"]["session"])["rows"]
    except (OSError, ValueError, KeyError, TypeError, struct.error):
        return None
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {name: [row.get(name) for row in rows] for name in names} if rows else None
