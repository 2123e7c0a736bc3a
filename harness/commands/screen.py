"""Text for the terminal it is shown on: how wide it is, whether it has colors, and lines that break between words."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import TextIO

NARROWEST, ROOMY = 8, 14
"""Characters that a column of text keeps at the least; from which on it is broken first."""
GAP = 2


def width(stream: TextIO | None = None) -> int | None:
    """Return how many characters a line of the terminal has; None where there is no terminal, which has no limit."""
    stream = sys.stdout if stream is None else stream
    return shutil.get_terminal_size().columns if stream.isatty() else None


def wrapped(text: str, limit: int | None) -> str:
    """Return text whose lines are broken between words where they are longer than `limit`, and stay indented.

    Lines with control sequences are left alone: they were laid out by whoever colored them.
    """
    if limit is None:
        return text
    lines = []
    for line in text.split("\n"):
        if len(line) <= limit or "\x1b" in line:
            lines.append(line)
            continue
        indent = re.match(r"\s*", line)
        later = (indent[0] if indent else "") + "  "
        lines += textwrap.wrap(line, limit, subsequent_indent=later, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines)


def table(names: Sequence[str], rows: Sequence[Sequence[str]], limit: int | None) -> str:
    """Return an aligned table that fits into `limit` characters if its words do: the widest columns are broken."""
    cells = [list(names), *map(list, rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(names))]
    if limit is not None:
        while sum(widths) + GAP * (len(widths) - 1) > limit and max(widths) > NARROWEST:
            wide = [i for i, size in enumerate(widths) if size > ROOMY]
            widths[wide[-1] if wide else widths.index(max(widths))] -= 1  # remarks stand last, and break well
    lines = [_row(cells[0], widths), "  ".join("-" * size for size in widths)]
    return "\n".join([*lines, *(_row(line, widths) for line in cells[1:])])


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    """One row, in as many lines as its longest cell needs."""
    parts = [textwrap.wrap(_breakable(cell), size) or [""] for cell, size in zip(cells, widths, strict=True)]
    height = max(len(part) for part in parts)
    padded = [[*part, *[""] * (height - len(part))] for part in parts]
    lines = [
        (" " * GAP).join(part[i].ljust(size) for part, size in zip(padded, widths, strict=True)) for i in range(height)
    ]
    return "\n".join(line.rstrip() for line in lines)


def _breakable(cell: str) -> str:
    """The cell without line ends; it may also be broken at its hyphens, as names of methods and keys have them."""
    return " ".join(cell.split())
