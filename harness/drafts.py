"""Folders that are filled before they get their place: one for each process, gone when it ends, however it ends."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def draft_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Yield a new folder in `parent`, deleted at the end, unless it was moved; `parent` is made if it is missing.

    The process holds a lock on it. What killed processes left there under `prefix` goes, what others are at stays: so
    the prefix must be one that nobody gives to what is to stay.
    The folder is this user's alone, as a temporary one is. Raises OSError.
    """
    parent.mkdir(parents=True, exist_ok=True)
    folder, held = _own_folder(parent, prefix)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _own_folder(parent: Path, prefix: str) -> tuple[Path, int]:
    """Make a folder that this process holds a lock on, with the lock; delete those whose processes have ended."""
    door = os.open(parent, os.O_RDONLY)
    try:
        fcntl.flock(door, fcntl.LOCK_EX)  # nobody sweeps between the next two lines
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        held = _locked(folder)
        for left in parent.iterdir():
            if left.name.startswith(prefix):
                with suppress(OSError):  # held: its process lives
                    unheld = _locked(left)
                    shutil.rmtree(left, ignore_errors=True)
                    os.close(unheld)
    finally:
        os.close(door)
    return folder, held


def _locked(folder: Path) -> int:
    """Return a descriptor that holds the lock of a folder until it is closed. Raises OSError if another has it."""
    found = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(found, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(found)
        raise
    return found
