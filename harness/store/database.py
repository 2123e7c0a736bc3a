"""Opening the database: SQLite (WAL, foreign keys, `BEGIN IMMEDIATE`), or PostgreSQL by `HARNESS_DATABASE_URL`."""

from __future__ import annotations

import os
import sqlite3
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, MetaData, create_engine, event, insert, inspect, text
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError
from sqlmodel import Session, col, select

from harness.errors import DiskError, UserError
from harness.inputs.address import EXAMPLE, database_address, without_secrets
from harness.paths import database_file
from harness.store import models

BUSY_SECONDS = 60
WRITERS = 7_215_501
"""The number of PostgreSQL's advisory lock that a writer holds."""
APPLICATION = int.from_bytes(b"reID")
"""SQLite's application_id: in the header of the file, so that a damaged one is known to be ours."""
REBUILD = "it is only an index over results/, nothing is lost: delete it and run `harness leaderboard`"


class StoreMissingError(UserError):
    """There is no database yet."""


class CorruptError(UserError):
    """SQLite cannot read the database."""


class OtherSchemaError(UserError):
    """The database was written by another version; opening it for writing rebuilds its tables."""


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
            _wait_for_other_writers(session.connection())
            yield session

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def database_url(root: Path) -> str:
    """Return `HARNESS_DATABASE_URL`, or the path of `results/leaderboard.db` under `root`.

    Raises UserError if the variable holds no URL: a path there would rather be a mistyped address.
    """
    stated = os.environ.get("HARNESS_DATABASE_URL")
    if stated and "://" not in stated:
        raise UserError(f"HARNESS_DATABASE_URL is not a database's address: {EXAMPLE}")
    return stated or str(database_file(root.resolve()))


def open_store(where: str | Path, read_only: bool = False) -> Store:
    """Open the database at a path or SQLAlchemy URL; writing creates it, or rebuilds its tables for another schema.

    Raises StoreMissingError or OtherSchemaError (read-only); UserError if corrupt, locked or not a database.
    """
    address = database_address(where)
    if isinstance(address, URL):
        engine: Engine = _postgresql(address)
        if read_only:  # one consistent state for all statements of a transaction
            engine = engine.execution_options(postgresql_readonly=True, isolation_level="REPEATABLE READ")
    else:
        engine = _sqlite(address, read_only)
    store = Store(engine, read_only)
    with _explained(store.engine):
        _check_schema(store)
    return store


def discard(where: str | Path) -> bool:
    """Remove a SQLite database that cannot be read, if its header says that we wrote it; return whether it did.

    A disk that was full while SQLite copied its journal may leave one. It is only an index, so nothing is lost.
    """
    path = database_address(where)
    if isinstance(path, URL):
        return False
    with path.open("rb") as file:
        header = file.read(100)
    if not header.startswith(b"SQLite format 3\0") or header[68:72] != APPLICATION.to_bytes(4):
        return False
    for suffix in ("-wal", "-shm", ""):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    return True


def _postgresql(url: URL) -> Engine:
    try:
        engine = create_engine(url, pool_pre_ping=True)
    except (ArgumentError, NoSuchModuleError):
        raise UserError(f"HARNESS_DATABASE_URL names a driver that is not known: {EXAMPLE}") from None
    except ModuleNotFoundError as error:
        raise UserError(
            f"HARNESS_DATABASE_URL needs the Python package {error.name}: pip install 'psycopg[binary]'"
        ) from None

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET TIME ZONE 'UTC'")  # times are kept without a zone, as in SQLite
        connection.commit()

    return engine


def _wait_for_other_writers(connection: Connection) -> None:
    """Let one transaction at a time write, as SQLite does: each begins with what the one before it left."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({WRITERS})"))


def _sqlite(path: Path, read_only: bool) -> Engine:
    if os.path.lexists(path) and not path.is_file():  # a link in a circle does not "exist"
        raise UserError(f"{path}: not a regular file, so it cannot be the database; {REBUILD}")
    if read_only and not path.exists():
        raise StoreMissingError(f"{path.name}: there is no database yet; run `harness leaderboard` to build it")
    if not read_only:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DiskError(f"{path.parent}: cannot be written: {error.strerror}; mend the permissions") from None
    mode = "ro" if read_only else "rwc"
    url = URL.create("sqlite", database=path.as_uri(), query={"mode": mode, "uri": "true"})
    return _sqlite_pragmas(create_engine(url), read_only)


def _check_schema(store: Store) -> None:
    """Drop and recreate the tables of another schema: what they held is only an index."""
    with store.engine.connect() as connection:
        found = _schema(connection)
    if found == models.SCHEMA:
        return
    if store.read_only:
        if found is None:
            raise StoreMissingError("the database is empty; run `harness leaderboard` to fill it")
        raise OtherSchemaError("the database has another version's schema; run `harness leaderboard` to rebuild it")
    with store.engine.begin() as connection:
        _wait_for_other_writers(connection)
        if _schema(connection) == models.SCHEMA:
            return  # another process was faster
        ours = models.Row.metadata
        old = MetaData()
        old.reflect(connection, only=lambda name, _: name in ours.tables)
        if old.tables and models.Meta.__tablename__ not in old.tables:
            raise UserError("the database holds tables of another program; name another one in HARNESS_DATABASE_URL")
        old.drop_all(connection)
        ours.create_all(connection)
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(f"PRAGMA application_id={APPLICATION}")
        connection.execute(insert(models.Meta).values(name="schema", value=models.SCHEMA))


def _schema(connection: Connection) -> str | None:
    """Return the number of the schema found, '' for one without, None if there are no tables."""
    if not inspect(connection).has_table(str(models.Meta.__tablename__)):
        return None
    found = connection.execute(select(models.Meta.value).where(col(models.Meta.name) == "schema")).scalar_one_or_none()
    return found or ""


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
    """Turn the database's errors into UserErrors that say what to do, and show no secret."""
    try:
        yield
    except IntegrityError as error:
        if not _inconsistent(engine):  # our own mistake
            raise
        name = Path(engine.url.database or "").name
        raise UserError(f"{name}: the database is damaged ({error.orig}); {REBUILD}") from None
    except DBAPIError as error:
        raise _explanation(engine.url, error.orig) from None
    except (ValueError, TypeError) as error:
        if _converting(error):  # a stored text that is no JSON, date or number
            name = Path(engine.url.database or "").name
            raise UserError(f"{name}: the database is damaged ({error}); {REBUILD}") from None
        raise


def _inconsistent(engine: Engine) -> bool:
    """Whether a SQLite database holds what its own constraints forbid: somebody else has written to it."""
    if engine.dialect.name != "sqlite":
        return False
    with engine.connect() as connection:
        orphan = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
        intact = connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar_one()
    return orphan is not None or intact != "ok"


def _explanation(url: URL, error: BaseException | None) -> UserError:
    """What a driver's error means. SQLite's by its code, not by its words: https://sqlite.org/rescode.html."""
    reason = str(error)
    name = Path((url.database or "").partition("?")[0]).name
    if url.get_backend_name() != "sqlite":
        return UserError(f"the database {name} cannot be used: {without_secrets(reason, url).strip()}")
    extended = getattr(error, "sqlite_errorcode", None) or sqlite3.SQLITE_CORRUPT
    match extended & 0xFF:  # the primary code
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return UserError(f"{name}: locked by another process for {BUSY_SECONDS} s; try again when it is done")
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return DiskError(f"{name}: cannot be written ({reason}); check the folder's permissions")
        case sqlite3.SQLITE_FULL:
            return DiskError(f"{name}: the disk is full; nothing was changed")
        case sqlite3.SQLITE_IOERR if extended != sqlite3.SQLITE_IOERR_SHORT_READ:  # which is a file cut short
            return DiskError(
                f"{name}: the disk is full, or fails ({getattr(error, 'sqlite_errorname', reason)}); nothing was "
                "changed: free some space and run it again"
            )
    return CorruptError(f"{name}: the database is corrupt ({reason}); {REBUILD}")


def _converting(error: BaseException) -> bool:
    """Whether the error comes from where SQLAlchemy makes Python values of stored ones."""
    frames = traceback.walk_tb(error.__traceback__)
    return any(frame.f_globals.get("__name__", "").startswith("sqlalchemy.engine") for frame, _ in frames)
