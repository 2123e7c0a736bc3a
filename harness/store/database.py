"""Opening the database: SQLite (WAL, foreign keys, `BEGIN IMMEDIATE`), or PostgreSQL by `HARNESS_DATABASE_URL`."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, inspect, text
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError
from sqlmodel import Session

from harness.errors import UserError
from harness.store.migrate import newest_revision, upgrade

BUSY_SECONDS = 10
REBUILD = "it is only an index over results/, nothing is lost: delete it and run `harness leaderboard`"


class StoreMissingError(UserError):
    """There is no database yet."""


class OlderSchemaError(UserError):
    """The database was written by an older version; opening it for writing migrates it."""


@dataclass(frozen=True)
class Store:
    """An open database. Use `reading()` and `writing()`, each a short transaction."""

    engine: Engine
    read_only: bool

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session on one consistent state."""
        with _explained(self.engine), Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session whose changes all arrive, or none do."""
        with _explained(self.engine), Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def database_url(root: Path) -> str:
    """Return `HARNESS_DATABASE_URL`, or the URL of `results/leaderboard.db` under `root`."""
    return os.environ.get("HARNESS_DATABASE_URL") or str(root.resolve() / "results" / "leaderboard.db")


def open_store(where: str | Path, read_only: bool = False) -> Store:
    """Open the database at a path or SQLAlchemy URL; writing creates and migrates it as needed.

    Raises StoreMissingError or OlderSchemaError (read-only); UserError if corrupt, locked or from a newer version.
    """
    url = str(where)
    if "://" in url:
        engine: Engine = _engine(url).execution_options(postgresql_readonly=read_only)
        store = Store(_sqlite_pragmas(engine, read_only), read_only)
    else:
        path = Path(url).resolve()
        if read_only and not path.exists():
            raise StoreMissingError(f"{path.name}: there is no database yet; run `harness leaderboard` to build it")
        if not read_only:
            path.parent.mkdir(parents=True, exist_ok=True)
        mode = "ro" if read_only else "rwc"
        engine = create_engine(f"sqlite:///file:{path}?mode={mode}&uri=true")
        store = Store(_sqlite_pragmas(engine, read_only), read_only)
    with _explained(store.engine):
        _check_schema(store)
    return store


def _engine(url: str) -> Engine:
    try:
        return create_engine(url)
    except ArgumentError:
        raise UserError(
            "HARNESS_DATABASE_URL is not a database's address: write postgresql+psycopg://user:password@host/name"
        ) from None
    except ModuleNotFoundError as error:
        raise UserError(
            f"HARNESS_DATABASE_URL needs the Python package {error.name}: pip install 'psycopg[binary]'"
        ) from None


def _check_schema(store: Store) -> None:
    newest = newest_revision()
    found = _revision(store.engine)
    if found == newest:
        return
    if store.read_only:
        if found is None:
            raise StoreMissingError("the database is empty; run `harness leaderboard` to fill it")
        raise OlderSchemaError("the database has another version's schema; run `harness leaderboard` to migrate it")
    upgrade(store.engine)


def _revision(engine: Engine) -> str | None:
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
        return None if found is None else str(found)


def _sqlite_pragmas(engine: Engine, read_only: bool) -> Engine:
    """Make SQLite safe for many processes: see https://sqlite.org/wal.html and lang_transaction.html."""
    if engine.dialect.name != "sqlite":
        return engine

    @event.listens_for(engine, "connect")
    def on_connect(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy emits BEGIN itself, below
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
        if read_only:
            connection.execute("PRAGMA query_only=ON")
        else:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")

    @event.listens_for(engine, "begin")
    def on_begin(connection: Any) -> None:
        # A deferred transaction that later writes fails at once in WAL mode if another wrote meanwhile.
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


@contextmanager
def _explained(engine: Engine) -> Iterator[None]:
    """Turn the database's errors into UserErrors that say what to do."""
    name = engine.url.render_as_string(hide_password=True).split("?")[0].rsplit("/", 1)[-1]
    try:
        yield
    except OperationalError as error:
        reason = str(error.orig)
        if engine.dialect.name != "sqlite":
            raise UserError(f"the database {name} cannot be used: {reason}") from None
        if "locked" in reason:
            raise UserError(
                f"{name}: locked by another process for {BUSY_SECONDS} s; try again when it is done"
            ) from None
        if "readonly" in reason or "unable to open" in reason:
            raise UserError(f"{name}: cannot be written ({reason}); check the folder's permissions") from None
        if "full" in reason:
            raise UserError(f"{name}: the disk is full; nothing was changed") from None
        raise UserError(f"{name}: {reason}; {REBUILD}") from error
    except DatabaseError as error:
        if "malformed" in str(error.orig) or "not a database" in str(error.orig):
            raise UserError(f"{name}: the database is corrupt ({error.orig}); {REBUILD}") from None
        raise
