"""Which project folder a row of a shared database comes from: a folder takes away only what it brought."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from harness.inputs.address import database_address
from harness.inputs.files import MissingFileError, read_text
from harness.paths import place_file, write_text
from harness.store.database import database_url


def place(root: Path) -> str:
    """Return the name of the project folder at `root` in its database: '' where no other one can be in it.

    It is made once and kept in `results/.place`; it says nothing of the machine.
    """
    if isinstance(database_address(database_url(root)), Path):
        return ""
    path = place_file(root)
    for _ in range(2):
        try:
            return read_text(path).strip()
        except MissingFileError:
            fresh = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}")
            write_text(fresh, uuid.uuid4().hex[:12] + "\n")
            try:
                os.link(fresh, path)  # whoever is first names it
            except FileExistsError:
                pass
            finally:
                fresh.unlink()
    return read_text(path).strip()
