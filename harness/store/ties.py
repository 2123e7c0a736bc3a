"""Which methods of a view can a paired bootstrap over queries not tell apart?"""

from __future__ import annotations

from sqlmodel import Session

from harness.store import tables


def refresh_ties(session: Session, entries: list[tables.Entry], tasks: dict[str, tuple[str | None, str]]) -> None:
    """Recompute `Tie` for every task and setting."""
