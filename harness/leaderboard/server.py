"""What the server does before anybody visits."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module

LIBRARIES = ("altair", "pandas", "pyarrow.pandas_compat", "sqlmodel")


@asynccontextmanager
async def warmed(_app: object) -> AsyncIterator[None]:
    """Import beside the running server what the pages need, which otherwise the first visitor would wait for."""
    threading.Thread(target=warm_up, name="warm-up", daemon=True).start()
    yield


def warm_up() -> None:
    """Import the pages and their libraries: those of the first page first."""
    from harness.leaderboard.frame import PAGES

    for name in (*LIBRARIES, *(f"harness.leaderboard.{page}" for page in PAGES)):
        import_module(name)
