"""Findings of a verification, in three levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

EXAMPLES = 3

Level = Literal["error", "difference", "notice"]


@dataclass(frozen=True)
class Finding:
    """One finding: its level, and a message that says what and where.

    error: the dataset cannot be used; difference: it is not what the papers used; notice: worth knowing.
    """

    level: Level
    text: str


def some(items: Sequence[object]) -> str:
    """Return the first few items as text, and the number of those left out."""
    shown = ", ".join(str(item) for item in items[:EXAMPLES])
    return shown + (f" and {len(items) - EXAMPLES} more" if len(items) > EXAMPLES else "")
