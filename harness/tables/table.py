"""A table without a format: what the exports turn into text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.store.views import LeaderRow
from harness.tables.columns import Column, Value
from harness.tables.words import is_bound, setting_name


@dataclass(frozen=True)
class Cell:
    """`text` as people read it, `value` as machines do; `place` 1 is a column's best, 2 its second; `cite`: its key."""

    text: str
    value: Value
    place: int = 0
    cite: str = ""


@dataclass(frozen=True)
class Table:
    """`numeric` says which columns are aligned by their digits; `notes` stand below."""

    title: str
    headers: tuple[str, ...]
    keys: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    rule: int = 0
    """Before which row a rule stands; 0 for none."""
    caption: str = ""
    label: str = ""

    def without(self, key: str) -> Table:
        """Return the table without one column."""
        kept = [i for i, name in enumerate(self.keys) if name != key]
        return replace(
            self,
            headers=tuple(self.headers[i] for i in kept),
            keys=tuple(self.keys[i] for i in kept),
            numeric=tuple(self.numeric[i] for i in kept),
            rows=tuple(tuple(row[i] for i in kept) for row in self.rows),
        )


def leader_table(
    title: str,
    rows: Sequence[LeaderRow],
    columns: Sequence[Column],
    notes: tuple[str, ...] = (),
    among: Sequence[LeaderRow] | None = None,
    blocks: bool = False,
) -> Table:
    """Return a leaderboard as a table, best and second of every setting's score columns marked.

    Places are those among the rows `among` (default: `rows`), so that a search makes nothing best; bounds and floors
    have none, and with `blocks` stand below a rule.
    """
    found = places(rows if among is None else among, columns)
    ordered = sorted(rows, key=lambda row: is_bound(row.setting, row.role)) if blocks else list(rows)
    body = tuple(
        tuple(Cell(column.text(row), column.value(row), place(found, row, column)) for column in columns)
        for row in ordered
    )
    first = next((i for i, row in enumerate(ordered) if is_bound(row.setting, row.role)), 0)
    return Table(
        title,
        tuple(column.header for column in columns),
        tuple(column.key for column in columns),
        tuple(column.digits is not None for column in columns),
        body,
        notes,
        first if blocks else 0,
    )


Places = dict[tuple[str, str], dict[str, int]]


def places(rows: Sequence[LeaderRow], columns: Sequence[Column]) -> Places:
    """Return best and second by setting and column, as the texts that have these places.

    What prints the same has the same place. A setting with a single row has no best.
    """
    found: Places = {}
    for setting in {row.setting for row in rows}:
        competing = [row for row in rows if row.setting == setting and not is_bound(row.setting, row.role)]
        for column in columns:
            texts = [column.text(row) for row in competing if column.text(row)] if column.score else []
            if len(texts) > 1:
                ranked = sorted(set(texts), key=float, reverse=True)
                found[setting, column.key] = dict(zip(ranked, (1, 2), strict=False))
    return found


def place(found: Places, row: LeaderRow, column: Column) -> int:
    """Return the place of a cell: 1, 2, or 0 for none."""
    if is_bound(row.setting, row.role):
        return 0
    return found.get((row.setting, column.key), {}).get(column.text(row), 0)


def unique_titles(rows: Sequence[LeaderRow]) -> dict[str, str]:
    """Return the title of each method; two that have the same get their settings, or else their names, behind it."""
    titles = {row.method: row.title for row in rows}
    settings = {row.method: row.setting for row in rows}
    alike: dict[str, list[str]] = {}
    for method, title in titles.items():
        alike.setdefault(title, []).append(method)
    found = {}
    for method, title in titles.items():
        rivals = [other for other in alike[title] if other != method]
        if not rivals:
            found[method] = title
        elif all(settings[other] != settings[method] for other in rivals):
            found[method] = f"{title} ({setting_name(settings[method])})"
        else:
            found[method] = f"{title} ({method})"
    return found
