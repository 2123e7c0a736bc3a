"""Where a result comes from that was not computed here: `origin.json` beside it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import Field

from harness.errors import UserError
from harness.inputs.files import read_bytes
from harness.inputs.json import parse_document
from harness.paths import imported_folder
from harness.specs.base import Frozen, Slug, check_slug

ORIGIN = "origin.json"
KINDS = {
    "archive": "computed by {lab}; its scores were recomputed here from its ranked lists",
    "community": "computed by {lab}; its scores were recomputed here from the ranks it states",
    "features": "trained by {lab}; only the evaluation is ours, of features that it gave",
}


class Origin(Frozen):
    """Whose result it is, and how it came here."""

    lab: Slug
    kind: Literal["archive", "community", "features"]
    taken_in: datetime
    sha256: str = Field(description="of the archive, or of the features")
    version: str = Field(default="", description="of the program that wrote the archive")

    @property
    def note(self) -> str:
        """One sentence for whoever sees the result."""
        return KINDS[self.kind].format(lab=self.lab)


def lab_name(text: str) -> str:
    """Return the name of a lab. Raises UserError if it could not stand in a key."""
    try:
        return check_slug(text)
    except ValueError as error:
        raise UserError(f"the lab's name: {error}") from None


def read_origin(folder: Path) -> Origin:
    """Return where the result in a folder comes from. Raises UserError."""
    origin = parse_document(read_bytes(folder / ORIGIN), Path(ORIGIN), Origin)
    if origin.lab != folder.parent.name:
        raise UserError(f"{ORIGIN} names {origin.lab}, the folder {folder.parent.name}")
    return origin


def imported_runs(root: Path) -> Iterator[Path]:
    """Yield the folders of results from elsewhere, by lab and key."""
    yield from sorted(
        path for path in imported_folder(root).glob("*/*") if path.is_dir() and not path.name.startswith(".")
    )
