"""What lies under `results/` now, from the files themselves: the database only knows what was taken in."""

from __future__ import annotations

import json
import os
import struct
from contextlib import suppress
from pathlib import Path

from harness.errors import UserError
from harness.inputs.files import read_head
from harness.paths import all_attempts_folder, runs_folder, work_file
from harness.pipeline.status import Status, run_status
from harness.store import views
from harness.store.database import Store
from harness.store.run_files import History

WATCHED = ("metrics.json", "queries.parquet", "record.json")
LONGEST_HEADER = 64 * 2**20


def tried(root: Path) -> dict[str, Status]:
    """Return what became of every run that was tried, by key."""
    found = {}
    with suppress(FileNotFoundError), os.scandir(all_attempts_folder(root)) as folders:
        for folder in folders:
            status = run_status(root, folder.name)
            if status.attempt is not None:
                found[folder.name] = status
    return found


def untaken(root: Path, store: Store) -> list[str]:
    """Return the keys of evaluated runs under `results/` that are new or newer than what the database took in."""
    known = {run.key: run.published for run in views.runs(store)}
    rejected = {path for path, _ in views.snapshot(store).rejected}
    since = views.taken_in(store)
    found = []
    with suppress(FileNotFoundError), os.scandir(runs_folder(root)) as folders:
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
        path = work_file(root, key)
        (size,) = struct.unpack("<Q", read_head(path, 8))
        if size > LONGEST_HEADER:
            return None
        rows = json.loads(json.loads(read_head(path, 8 + size)[8:])["__metadata__"]["progress"])["rows"]
    except (UserError, ValueError, KeyError, TypeError, RecursionError, struct.error):
        return None
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {name: [row.get(name) for row in rows] for name in names} if rows else None
