"""What every page needs: the project, the database (read-only), and cached queries."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, NoReturn, ParamSpec, TypeVar

import streamlit as st

from harness.errors import UserError
from harness.store import Store, open_store, views
from harness.store.database import OtherSchemaError, StoreMissingError, database_url
from harness.tables.formats import prose
from harness.tables.text import task_title as titled

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


def project() -> Path:
    """Return the project's root: the folder that `streamlit run` was started in."""
    return Path.cwd()


def store() -> Store:
    """Return the open database, built from `results/` if it is absent or old. Stops the page if it cannot be used."""
    url = database_url(project())
    try:
        return _opened(url, _identity(url))
    except (StoreMissingError, OtherSchemaError):
        try:
            from harness.store import ingest  # reads specs and results: only who has no database yet waits for that

            with st.spinner("Building the database from results/ …"):
                ingest(project())
            return _opened(url, _identity(url))
        except UserError as error:
            refuse(str(error))
    except UserError as error:
        refuse(str(error))


@st.cache_resource(show_spinner=False, max_entries=4)
def _opened(url: str, identity: int) -> Store:
    return open_store(url, read_only=True)


def _identity(url: str) -> int:
    path = Path(url)
    return path.stat().st_ino if "://" not in url and path.exists() else 0


def theme() -> str:
    """Return `dark` or `light`, as the visitor's page is."""
    return "dark" if st.context.theme.type == "dark" else "light"


def task_title(name: str) -> str:
    """Return a task's name as people read it, by the titles of its datasets."""
    return task_titles()(name)


def task_titles() -> Callable[[str], str]:
    """Return `task_title` for many names: it asks the database once."""
    titles = {dataset.name: dataset.title for dataset in read(views.datasets)}
    return lambda name: titled(name, titles)


def refuse(message: str) -> NoReturn:
    """Say what is wrong and end the page."""
    st.error(prose(message), icon=":material/error:")
    st.stop()


def read(
    query: Callable[Concatenate[Store, Arguments], Answer], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> Answer:
    """Return a query's answer, cached until the database's content changes. Stops the page if it cannot be read."""
    opened = store()
    try:
        return _cached(opened, views.snapshot_id(opened), query.__name__, query, args, kwargs)  # type: ignore[no-any-return]
    except UserError as error:
        refuse(str(error))


@st.cache_resource(show_spinner=False, max_entries=1000)
def _cached(_store: Store, snapshot: str, name: str, _query: Callable, args: tuple, kwargs: dict):  # type: ignore[no-untyped-def, type-arg]
    return _query(_store, *args, **kwargs)
