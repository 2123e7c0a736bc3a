"""CSV tables: of numbers, and of texts by column."""

from __future__ import annotations

import csv
import io
import math
import re
from pathlib import Path

from harness.errors import UserError
from harness.inputs.files import read_text
from harness.inputs.limits import CELL, ROWS

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf)")
Columns = dict[str, list[float | None]]


def read_rows(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """Return the rows of a CSV file by the names in its header, which holds `columns`. Raises UserError."""
    try:
        reader = csv.DictReader(io.StringIO(read_text(path), newline=""), strict=True)
        names = reader.fieldnames or ()
        rows = list(reader)
    except csv.Error as error:
        raise UserError(f"{path}: not readable as CSV: {error}") from None
    if lacking := [name for name in columns if name not in names]:
        raise UserError(f"{path}:1: has no column {lacking[0]!r}; its header must name: {', '.join(columns)}")
    if len(rows) > ROWS:
        raise UserError(f"{path}: has more than {ROWS:,} rows")
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise UserError(f"{path}:{number}: has a row of another length than its header")
    return rows


def parse_numbers(data: bytes, path: Path) -> Columns:
    """Return the columns of a CSV file with a header; a cell that is empty, nan or inf is None. Raises UserError."""
    try:
        rows = list(csv.reader(io.StringIO(data.decode("utf-8"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not readable as CSV: {error}") from None
    if not rows:
        raise UserError(f"{path}: is empty: it lacks its header")
    header, body = rows[0], rows[1:]
    if len(set(header)) != len(header):
        raise UserError(f"{path}:1: a column stands twice in the header")
    if len(body) > ROWS:
        raise UserError(f"{path}: has more than {ROWS:,} rows")
    columns: Columns = {name: [] for name in header}
    for line, row in enumerate(body, start=2):
        if len(row) != len(header):
            raise UserError(f"{path}:{line}: has a row of another length than its header")
        for name, cell in zip(header, row, strict=True):
            columns[name].append(_number(cell, f"{path}:{line}: {name[:80]}"))
    return columns


def _number(cell: str, where: str) -> float | None:
    if not cell:
        return None
    if len(cell) > CELL or not NUMBER.fullmatch(cell):
        raise UserError(f"{where}: {cell[:40]!r} is not a number")
    value = float(cell)
    return value if math.isfinite(value) else None
