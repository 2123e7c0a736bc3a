"""What a verification finds, in three degrees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

EXAMPLES = 3

Level = Literal["error", "difference", "notice"]


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    error: the dataset cannot be used; difference: it is not what the papers used; notice: worth knowing.
    """

    level: Level
    text: str


def some(items: Sequence[object]) -> str:
    """Return the first few items, and how many more there are."""
    shown = ", ".join(str(item) for item in items[:EXAMPLES])
    return shown + (f" and {len(items) - EXAMPLES} more" if len(items) > EXAMPLES else "")
