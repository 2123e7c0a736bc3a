"""A CSV or Parquet file of labels in a folder of one's own: found, and read as splits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.data.listing import Listed, read_table
from harness.data.records import SPLITS
from harness.errors import UserError

SUFFIXES = (".csv", ".parquet")


@dataclass(frozen=True)
class LabelFile:
    """The file's name, and the images of each split that it names; all are training images if it has no splits."""

    name: str
    splits: dict[str, list[Listed]]
    has_splits: bool

    def layout(self) -> dict[str, dict[str, Any]]:
        """Return the splits as a spec states them."""
        return {
            split: {"folder": ".", "table": self.name} | ({"only": split} if self.has_splits else {})
            for split in self.splits
        }

    def stated(self, column: str) -> list[str]:
        """Return what the column id or camera says, row by row; empty cells left out."""
        values = (getattr(entry, column) for entries in self.splits.values() for entry in entries)
        return [value for value in values if value is not None]


def find_label_file(folder: Path, notes: list[str]) -> LabelFile | None:
    """Return the file of labels that lies in `folder`, if one does; `notes` gets what was found and what was not taken.

    Raises UserError if several files name images.
    """
    fitting: dict[str, list[Listed]] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file():
            try:
                fitting[path.name] = read_table(folder, path.name, None)
            except UserError as error:
                notes.append(f"no file of labels: {str(error).removeprefix(f'{folder}/')}")
    if len(fitting) > 1:
        raise UserError(f"{folder}: {', '.join(fitting)} each name images; leave the one there that is meant")
    for name, entries in fitting.items():
        splits = {split: found for split in SPLITS if (found := _rows(folder, name, split))}
        chosen = sum(map(len, splits.values()))
        if splits and chosen < len(entries):
            notes.append(f"{len(entries) - chosen} rows of {name} are of no split called {', '.join(SPLITS)}")
        return LabelFile(name, splits or {"train": entries}, bool(splits))
    return None


def _rows(folder: Path, name: str, split: str) -> list[Listed]:
    try:
        return read_table(folder, name, split)
    except UserError:  # it has no such row, or no splits
        return []
