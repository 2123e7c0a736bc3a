"""A table without a format: what the exports turn into text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.store.views import LeaderRow
from harness.tables.columns import Column, Value


@dataclass(frozen=True)
class Cell:
    """`text` as people read it, `value` as machines do; `place` 1 is a column's best, 2 its second."""

    text: str
    value: Value
    place: int = 0


@dataclass(frozen=True)
class Table:
    """`numeric` says which columns are aligned by their digits; `notes` stand below."""

    title: str
    headers: tuple[str, ...]
    keys: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()

    def without(self, key: str) -> Table:
        """Return the table without one column."""
        kept = [i for i, name in enumerate(self.keys) if name != key]
        return Table(
            self.title,
            tuple(self.headers[i] for i in kept),
            tuple(self.keys[i] for i in kept),
            tuple(self.numeric[i] for i in kept),
            tuple(tuple(row[i] for i in kept) for row in self.rows),
            self.notes,
        )


def leader_table(
    title: str, rows: Sequence[LeaderRow], columns: Sequence[Column], notes: tuple[str, ...] = ()
) -> Table:
    """Return a leaderboard as a table, best and second of every score column marked."""
    places = {column.key: _places([column.text(row) for row in rows]) for column in columns if column.score}
    body = tuple(
        tuple(
            Cell(column.text(row), column.value(row), places.get(column.key, {}).get(column.text(row), 0))
            for column in columns
        )
        for row in rows
    )
    return Table(
        title,
        tuple(column.header for column in columns),
        tuple(column.key for column in columns),
        tuple(column.digits is not None for column in columns),
        body,
        notes,
    )


def _places(texts: list[str]) -> dict[str, int]:
    """Best and second of the printed numbers: what prints the same is the same."""
    ranked = sorted({text for text in texts if text}, key=float, reverse=True)
    return dict(zip(ranked, (1, 2), strict=False))
