"""How many CPU threads a run may use; known without loading torch."""

from __future__ import annotations

import os

from harness.errors import UserError


def threads() -> int:
    """Return the number of CPU threads a run may use. Raises UserError if HARNESS_THREADS is none."""
    value = os.environ.get("HARNESS_THREADS", "1")
    if not value.isdigit() or int(value) < 1:
        raise UserError(f"HARNESS_THREADS={value}: must be a whole number from 1")
    return int(value)
