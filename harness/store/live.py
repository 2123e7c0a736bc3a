"""What lies under `results/` now, from the files themselves: the database only knows what was taken in."""

from __future__ import annotations

import json
import os
import struct
import time
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UserError
from harness.inputs.files import read_head
from harness.paths import all_attempts_folder, attempts_folder, run_folder, runs_folder, work_file
from harness.store import views
from harness.store.database import Store
from harness.store.place import place

if TYPE_CHECKING:
    from harness.pipeline.status import Status
    from harness.store.run_files import History

WATCHED = ("metrics.json", "queries.parquet", "record.json")
LONGEST_HEADER = 64 * 2**20
FRESH_SECONDS = 2.0
"""A folder that changed so lately may change again at the same time stamp."""


def tried(root: Path) -> dict[str, Status]:
    """Return what became of every run that was tried, by key."""
    found = {}
    with suppress(FileNotFoundError), os.scandir(all_attempts_folder(root)) as folders:
        for folder in folders:
            status = _status(root, folder.name)
            if status.attempt is not None:
                found[folder.name] = status
    return found


def _status(root: Path, key: str) -> Status:
    """What became of a run, read again only if files came or went: a page asks for hundreds at every click."""
    from harness.pipeline.status import run_status  # the records' models: only where something was tried

    stamps = tuple(_changed(folder) for folder in (attempts_folder(root, key), run_folder(root, key)))
    if max(stamps) > time.time() - FRESH_SECONDS:
        return run_status(root, key)
    status = _unchanged(root, key, stamps)
    return run_status(root, key) if status.state == "running" else status  # its process may end without a word


@lru_cache(maxsize=10_000)
def _unchanged(root: Path, key: str, _stamps: tuple[float, ...]) -> Status:
    from harness.pipeline.status import run_status

    return run_status(root, key)


def _changed(folder: Path) -> float:
    """When a folder last gained, lost or replaced a file; 0 without one."""
    try:
        return folder.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def untaken(root: Path, store: Store) -> list[str]:
    """Return the keys of evaluated runs under `results/` that are new or newer than what the database took in."""
    known = views.origins(store)
    rejected = {path for path, _ in views.snapshot(store).rejected}
    since = views.taken_in(store, place(root))
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
    """Return the curves of a run that is being trained, from the header of its unfinished state; None without one.

    The state's hash is not verified, which would read all of it: a damaged header shows no curves, or a wrong point.
    """
    path = work_file(root, key)
    try:
        (size,) = struct.unpack("<Q", read_head(path, 8))
        if size > LONGEST_HEADER:
            return None
        rows = json.loads(json.loads(read_head(path, 8 + size)[8:])["__metadata__"]["progress"])["rows"]
        names = list(dict.fromkeys(name for row in rows for name in row))
        values = {name: [row.get(name) for row in rows] for name in names}
    except (UserError, ValueError, KeyError, TypeError, AttributeError, RecursionError, struct.error):
        return None
    numbers = all(value is None or isinstance(value, int | float) for column in values.values() for value in column)
    return values if rows and numbers else None
