"""One row of the report: how often a kind of fault was tried, how often it was survived, what the user saw."""

from __future__ import annotations

import random
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

Cases = Callable[[random.Random, Path], Iterator[tuple[str | None, str]]]
"""Yields, without end, what went wrong in a case (None: it was survived) and what the user saw."""


@dataclass
class Row:
    """One row of the report."""

    what: str
    tried: int = 0
    survived: int = 0
    seconds: float = 0.0
    seen: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def count(self, failure: str | None, seen: str = "") -> None:
        """Count one case: `failure` says what went wrong, `seen` what the user saw."""
        self.tried += 1
        self.survived += failure is None
        if failure:
            self.failures.append(failure)
        if seen:
            self.seen[shape(seen)] += 1

    def add(self, other: Row) -> None:
        """Add the counts of another call."""
        self.tried += other.tried
        self.survived += other.survived
        self.seconds += other.seconds
        self.seen.update(other.seen)
        self.failures += other.failures


def shape(text: str) -> str:
    """Return the first line of a message without what differs from case to case."""
    first = text.strip().splitlines()[0] if text.strip() else ""
    first = re.sub(rf"{re.escape(tempfile.gettempdir())}/[^ :;,']*/", "…/", first)
    return re.sub(r"\b[0-9a-f]{12,}\b", "…", first)[:160]
