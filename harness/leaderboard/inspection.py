"""The map of a run's features and its clusters, if `harness inspect` has computed them."""

from __future__ import annotations

from harness.store.tables import Run


def show(run: Run) -> None:
    """Draw them."""
