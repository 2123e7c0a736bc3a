"""List the images of a split, with the labels that its list files, table and XML state."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UserError
from harness.inputs.csv import read_rows
from harness.inputs.files import read_text
from harness.inputs.folders import files_below
from harness.inputs.images import SUFFIXES
from harness.inputs.limits import NAME
from harness.inputs.parquet import load_table, rows_of
from harness.inputs.xml import read_attributes
from harness.specs.layout import ImageSet


@dataclass(frozen=True)
class Listed:
    """An image of a split, with the labels stated in a list or XML (None: only the file name states them)."""

    name: str  # path below the split's folder
    id: str | None
    camera: str | None
    stated_in: str  # file and line, or the folder


def images_below(folder: Path) -> list[str]:
    """Return the paths, below `folder`, of all files with an image's suffix, sorted. Hidden files are no images."""
    return [name for name in files_below(folder) if name.lower().endswith(SUFFIXES)]


def list_images(root: Path, part: ImageSet) -> list[Listed]:
    """Return the images of one split in the order in which they are stated; a name that is listed twice comes twice.

    Raises UserError for a file or folder that cannot be read, a malformed line, and a path that leaves the folder.
    """
    if part.table:
        named = read_table(root, part.table, part.only)
    elif part.lists:
        named = [entry for path in part.lists for entry in _read_list(root, path)]
    else:
        named = [Listed(name, None, None, part.folder) for name in images_below(root / part.folder)]
    if part.xml is None:
        return named
    labels = read_xml(root / part.xml)
    return [
        Listed(entry.name, *labels[entry.name], part.xml) if entry.name in labels and entry.id is None else entry
        for entry in named
    ]


def read_lines(path: Path) -> list[str]:
    """Return the lines of a UTF-8 text file, with Unix or Windows line ends, blank ones kept as ''."""
    try:
        return [line.strip() for line in read_text(path).split("\n")]
    except UserError as error:
        raise UserError(f"{error}; take this file from the official archive again") from None


def _read_list(root: Path, path: str) -> list[Listed]:
    entries = []
    for number, line in enumerate(read_lines(root / path), start=1):
        if not line:
            continue
        where = f"{path}:{number}"
        match = re.fullmatch(r"(.+?\.\w+)(?:\s+([^\s./]+))?", line) if len(line) <= 2 * NAME else None
        if match is None:
            raise UserError(f"{root / path}:{number}: expected 'path identity', found {line[:200]!r}")
        name = match[1].removeprefix("./")
        if name.startswith("/") or ".." in Path(name).parts or "\0" in name or len(name) > NAME:
            raise UserError(f"{root / path}:{number}: {name[:200]!r} leads out of the dataset's folder")
        entries.append(Listed(name, match[2], None, where))
    return entries


def read_table(root: Path, table: str, only: str | None) -> list[Listed]:
    """Return the images that a CSV or Parquet file names, with their labels; `only` chooses rows by column split.

    Raises UserError for a file that is none of the two, a missing column, and a path that leaves the folder.
    """
    path = root / table
    rows = _parquet_rows(path) if path.suffix == ".parquet" else read_rows(path, ("path",))
    found = []
    for number, row in enumerate(rows, start=2):
        if only is not None and "split" not in row:
            raise UserError(f"{path}: has no column 'split', from which the spec wants the rows {only!r}")
        if only is not None and row["split"] != only:
            continue
        name = (row.get("path") or "").removeprefix("./")
        if not name or name.startswith("/") or ".." in Path(name).parts:
            raise UserError(f"{path}:{number}: path: {name!r} is no path below the dataset's folder")
        found.append(Listed(name, row.get("identity") or None, row.get("camera") or None, f"{table}:{number}"))
    if not found:
        chosen = f" whose split is {only!r}" if only is not None else ""
        raise UserError(f"{path}: has no row{chosen}")
    return found


def _parquet_rows(path: Path) -> list[dict[str, str]]:
    table = load_table(path)
    if "path" not in table.column_names:
        raise UserError(f"{path}: has no column 'path'")
    return [{name: "" if value is None else str(value) for name, value in row.items()} for row in rows_of(table, path)]


def read_xml(path: Path) -> dict[str, tuple[str, str]]:
    """Return identity and camera by image name. Raises UserError."""
    rows = read_attributes(path, ("imageName", "vehicleID", "cameraID"))
    return {name: (identity, camera) for name, identity, camera in rows}
