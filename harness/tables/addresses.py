"""Every view of the leaderboard as a typed value, and the one function that turns it into an address.

The fields of a view are the parameters that its page knows: whatever else an address holds, the page warns about. The
app and the static site make their links here and nowhere else, so a link cannot say what no page reads.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import ClassVar
from urllib.parse import urlencode


@dataclass(frozen=True)
class View:
    """A page with its parameters; an empty one is left to the page."""

    page: ClassVar[str]


@dataclass(frozen=True)
class Leaderboard(View):
    """The methods on one task."""

    page: ClassVar[str] = "leaderboard"
    task: str = ""
    setting: str = ""
    metric: str = ""
    q: str = ""
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    ticked: tuple[str, ...] = ()
    view: str = ""
    cost: str = ""
    pretraining: tuple[str, ...] = ()
    input_size: tuple[str, ...] = ()
    train_cameras: tuple[str, ...] = ()
    test_cameras: tuple[str, ...] = ()
    protocol: str = ""
    test_time: tuple[str, ...] = ()


@dataclass(frozen=True)
class Matrix(View):
    """Every method on every task; `cell` is `<method>@<task>`."""

    page: ClassVar[str] = "matrix"
    setting: str = ""
    tasks: tuple[str, ...] = ()
    metric: str = ""
    kinds: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    cell: str = ""


@dataclass(frozen=True)
class Compare(View):
    """Methods or runs against the first of them; `query` opens the ranked lists of one query."""

    page: ClassVar[str] = "compare"
    task: str = ""
    of: tuple[str, ...] = ()
    against: str = ""
    query: str = ""


@dataclass(frozen=True)
class Queries(View):
    """The queries of a run."""

    page: ClassVar[str] = "queries"
    task: str = ""
    run: str = ""
    beside: str = ""
    query: str = ""
    camera: str = ""
    identity: str = ""
    similarity: str = ""
    only: tuple[str, ...] = ()


@dataclass(frozen=True)
class Runs(View):
    """The table of runs, those `by` a method and `on` a task, and one of them in detail.

    Other pages' `method` and `task` go along from page to page; a filter must not.
    """

    page: ClassVar[str] = "run"
    run: str = ""
    by: str = ""
    on: str = ""
    state: tuple[str, ...] = ()
    q: str = ""
    group: str = ""
    seeds: str = ""
    color: str = ""


@dataclass(frozen=True)
class Methods(View):
    """A method."""

    page: ClassVar[str] = "methods"
    method: str = ""
    regime: str = ""


@dataclass(frozen=True)
class Datasets(View):
    """A dataset; `sheet` counts the pages of its identities from 1."""

    page: ClassVar[str] = "datasets"
    dataset: str = ""
    split: str = ""
    camera: str = ""
    sheet: str = ""


@dataclass(frozen=True)
class Search(View):
    """Search by a picture in the gallery of dataset `gallery`."""

    page: ClassVar[str] = "search"
    run: str = ""
    gallery: str = ""


VIEWS: dict[str, type[View]] = {
    view.page: view for view in (Leaderboard, Matrix, Compare, Queries, Runs, Methods, Datasets, Search)
}


def parameters(view: View) -> dict[str, str | list[str]]:
    """Return the view's parameters, without empty ones."""
    found = {name.name: getattr(view, name.name) for name in fields(view)}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items() if value}


def known(page: str) -> frozenset[str]:
    """Return the names of the parameters that a page reads."""
    return frozenset(field.name for field in fields(VIEWS[page]))


def address(view: View) -> str:
    """Return the view's address relative to the app, such as `compare?task=beta&of=a&of=b`."""
    page = "" if isinstance(view, Leaderboard) else view.page
    query = urlencode(parameters(view), doseq=True)
    return f"{page}?{query}" if query else page


def file_name(view: View) -> str:
    """Return the file of the view in a static site: the same parameters, in a name that every disk allows."""
    values = [value for given in parameters(view).values() for value in ([given] if isinstance(given, str) else given)]
    parts = [re.sub(r"[^A-Za-z0-9._-]+", "-", value) for value in values]
    return f"{view.page}/{'--'.join(parts)}.html" if parts else f"{view.page}.html"
