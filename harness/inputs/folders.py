"""Folders: every file below one, links followed once, in a fixed order."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from harness.errors import UserError
from harness.inputs.files import kind
from harness.inputs.limits import MEMBERS


def files_below(folder: Path) -> list[str]:
    """Return the paths of all regular files below `folder`, relative to it, with '/', sorted.

    Hidden files and folders are left out. Links are followed, also those to folders, but never to a folder that
    `folder` lies in: that would lead through the whole disk. Raises UserError for such a link, one that leads nowhere
    or round in a circle, a folder that cannot be read, a device or pipe, and more files than any dataset has.
    """
    found: list[str] = []
    for name in _walk(folder, "", (folder.resolve(),)):
        found.append(name)
        if len(found) > MEMBERS:
            raise UserError(f"{folder}: holds more than {MEMBERS:,} files, links followed; no dataset has so many")
    return sorted(found)


def _walk(folder: Path, prefix: str, above: tuple[Path, ...]) -> Iterator[str]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be read: {error.strerror}; check that it exists and its permissions"
        ) from None
    for entry in entries:
        if entry.name.startswith("."):
            continue
        path = Path(entry.path)
        try:
            mode = entry.stat().st_mode
        except OSError:
            raise UserError(f"{path}: a link that leads nowhere, or round in a circle; mend or delete it") from None
        if stat.S_ISREG(mode):
            yield prefix + entry.name
        elif stat.S_ISDIR(mode):
            where = path.resolve() if entry.is_symlink() else above[-1] / entry.name
            if where in above or above[0].is_relative_to(where):
                raise UserError(f"{path}: a link to a folder that it lies in itself; delete it")
            yield from _walk(path, f"{prefix}{entry.name}/", (*above, where))
        else:
            raise UserError(f"{path}: is a {kind(mode)}, not a file; delete it, or add a folder without it")


def leading_out(folder: Path, files: list[str]) -> list[str]:
    """Return those of `files` below `folder` that a link brings in from outside of it."""
    root = os.path.realpath(folder) + os.sep
    parents: dict[str, str] = {}
    found = []
    for name in files:
        above, _, last = name.rpartition("/")
        if above not in parents:
            parents[above] = os.path.realpath(folder / above)
        path = f"{parents[above]}{os.sep}{last}"
        if not (os.path.realpath(path) if os.path.islink(path) else path).startswith(root):  # noqa: PTH114 - many files
            found.append(name)
    return found
