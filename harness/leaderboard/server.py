"""Warm-up: import pages and compile queries when the server starts."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib import import_module

from harness.errors import UserError

LIBRARIES = ("pandas", "pandas.io.formats.style", "pyarrow.pandas_compat", "sqlmodel", "altair")


@asynccontextmanager
async def warmed(_app: object) -> AsyncIterator[None]:
    """Import page dependencies in a background thread so that the first request does not pay for them."""
    threading.Thread(target=warm_up, name="warm-up", daemon=True).start()
    yield


def warm_up() -> None:
    """Import the pages and their libraries, those of the first page first, and ask the database what it will ask."""
    from harness.leaderboard.frame import PAGES

    for name in (*LIBRARIES, *(f"harness.leaderboard.pages.{page}" for page in PAGES)):
        import_module(name)
    from harness.leaderboard.state import project
    from harness.store import open_store, views
    from harness.store.database import database_url

    with suppress(UserError):  # which the page will say
        store = open_store(database_url(project()), read_only=True)
        for task in views.tasks(store)[:1]:  # what is asked first is slow: statements are compiled
            views.leaderboard(store, task.name)
        store.close()
