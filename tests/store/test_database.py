import ast
import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.schema import CreateTable

from harness.errors import DiskError, UserError
from harness.store import Store, database, ingest, models, open_store, views
from harness.store.database import OtherSchemaError, StoreMissingError, database_url
from tests.store.factory import Project

HARNESS = Path(models.__file__).parent.parent


def test_pragmas(tmp_path: Path) -> None:
    store = open_store(tmp_path / "leaderboard.db")
    with store.engine.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
        assert connection.execute(text("PRAGMA foreign_keys")).scalar_one() == 1


def test_constraints_stand_behind_the_models(tmp_path: Path) -> None:
    store = open_store(tmp_path / "leaderboard.db")
    with pytest.raises(IntegrityError, match="FOREIGN KEY"), store.writing() as session:
        session.add(models.RunDetail.made(run_key="nobody", record={}, history={}, ap=b""))


def test_the_read_only_store_cannot_write(store: Store) -> None:
    with store.engine.connect() as connection, pytest.raises(OperationalError, match="readonly"):
        connection.execute(text("DELETE FROM run"))


def test_there_is_no_database_yet(tmp_path: Path) -> None:
    with pytest.raises(StoreMissingError, match="run `harness leaderboard`"):
        open_store(tmp_path / "leaderboard.db", read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_a_corrupt_database_is_said_so_and_left_alone(project: Project) -> None:
    path = Path(database_url(project.root))
    path.write_bytes(b"this is not a database at all" * 100)
    for read_only in (True, False):
        with pytest.raises(UserError, match=r"corrupt.*nothing is lost: delete it and run"):
            open_store(path, read_only=read_only)
    assert path.read_bytes().startswith(b"this is not")


def test_a_database_cut_short_by_a_full_disk_is_made_anew(project: Project) -> None:
    ingest(project.root)
    path = Path(database_url(project.root))
    with closing(sqlite3.connect(path)) as connection:
        before = connection.execute("SELECT key, digest FROM run ORDER BY key").fetchall()
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    path.write_bytes(path.read_bytes()[:size])  # its first page promises the others
    with pytest.raises(UserError, match="corrupt"):
        open_store(path, read_only=True)
    ingest(project.root)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT key, digest FROM run ORDER BY key").fetchall() == before
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_another_programs_damaged_database_is_left_alone(project: Project) -> None:
    path = Path(database_url(project.root))
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (value)")
        connection.executemany("INSERT INTO theirs VALUES (?)", [(str(number) * 500,) for number in range(99)])
        connection.commit()
    damaged = path.read_bytes()[:4096]
    path.write_bytes(damaged)
    with pytest.raises(UserError, match=r"corrupt.*delete it and run"):
        ingest(project.root)
    assert path.read_bytes() == damaged


def test_a_locked_database_is_said_so(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    ingest(project.root)
    monkeypatch.setattr(database, "BUSY_SECONDS", 0)
    other = sqlite3.connect(database_url(project.root), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(UserError, match="locked by another process"):
        ingest(project.root)
    assert views.snapshot(open_store(database_url(project.root), read_only=True)).runs == 10
    other.execute("ROLLBACK")
    ingest(project.root)


@pytest.mark.parametrize(
    ("code", "reason", "said"),
    [
        (sqlite3.SQLITE_FULL, "disk", "the disk is full; nothing was changed"),
        (sqlite3.SQLITE_IOERR_SHMSIZE, "disk", "the disk is full, or fails"),
        (sqlite3.SQLITE_IOERR_WRITE, "disk", "the disk is full, or fails"),
        (sqlite3.SQLITE_IOERR_SHORT_READ, "bad-input", "delete it and run"),
        (sqlite3.SQLITE_CORRUPT, "bad-input", "delete it and run"),
        (sqlite3.SQLITE_NOTADB, "bad-input", "delete it and run"),
        (sqlite3.SQLITE_READONLY_DIRECTORY, "disk", "check the folder's permissions"),
        (sqlite3.SQLITE_CANTOPEN_ISDIR, "disk", "check the folder's permissions"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, "bad-input", "locked by another process for 60 s"),
    ],
)
def test_sqlite_errors_are_told_apart_by_their_codes(tmp_path: Path, code: int, reason: str, said: str) -> None:
    store = open_store(tmp_path / "leaderboard.db")
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code
    with pytest.raises(UserError, match=said) as raised, store.reading():
        raise OperationalError("SELECT 1", {}, error)
    assert raised.value.reason == reason


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_no_room_for_the_database_is_the_disks_fault_whatever_the_room(project: Project, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    for room in (8, 60, 92, 120, 200):
        mount = ["mount", "-t", "tmpfs", "-o", f"size={room}k", "tmpfs", str(disk)]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("mounting is not allowed here")
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("HARNESS_DATABASE_URL", f"sqlite:///{disk}/board.db")
                with pytest.raises(DiskError, match="the disk is full"):
                    ingest(project.root)
        finally:
            subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.parametrize("number", ["1", "4294967296", None])
def test_a_database_of_another_schema_is_rebuilt(project: Project, number: str | None) -> None:
    url = database_url(project.root)
    ingest(project.root)
    before = views.snapshot(open_store(url, read_only=True))
    with create_engine(f"sqlite:///{url}").begin() as connection:
        connection.execute(text("DELETE FROM meta WHERE name = 'schema'"))
        if number is not None:
            connection.execute(text(f"INSERT INTO meta VALUES ('schema', '{number}')"))
        connection.execute(text("ALTER TABLE run DROP COLUMN seed"))
        connection.execute(text("ALTER TABLE entry ADD COLUMN colour TEXT NOT NULL DEFAULT 'red'"))
    with pytest.raises(OtherSchemaError, match="run `harness leaderboard` to rebuild"):
        open_store(url, read_only=True)
    assert len(ingest(project.root).added) == 10
    assert views.snapshot(open_store(url, read_only=True)) == before


def test_tables_of_another_program_are_left_alone(project: Project) -> None:
    url = database_url(project.root)
    with create_engine(f"sqlite:///{url}").begin() as connection:
        connection.execute(text("CREATE TABLE task (title TEXT)"))
        connection.execute(text("INSERT INTO task VALUES ('buy milk')"))
    with pytest.raises(UserError, match="tables of another program"):
        ingest(project.root)
    with create_engine(f"sqlite:///{url}").begin() as connection:
        assert connection.execute(text("SELECT title FROM task")).scalar_one() == "buy milk"


def test_the_schema_is_postgresql_too() -> None:
    for table in models.Row.metadata.sorted_tables:
        assert "CREATE TABLE" in str(CreateTable(table).compile(dialect=PGDialect()))  # type: ignore[no-untyped-call]


def test_ingests_at_the_same_time_do_not_hurt_each_other(project: Project) -> None:
    open_store(database_url(project.root)).close()
    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(lambda _: ingest(project.root), range(4)))
    assert sorted(len(report.added) for report in reports) == [0, 0, 0, 10]


def test_table_classes_are_made_in_one_way_only() -> None:
    names = {name for name, value in vars(models).items() if isinstance(value, type) and issubclass(value, models.Row)}
    for path in HARNESS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                called = node.func
                direct = isinstance(called, ast.Attribute) and called.attr in names
                assert not (direct and ast.unparse(called).startswith("tables.")), f"{path}:{node.lineno}"


def test_the_store_is_light_to_import() -> None:
    code = (
        "import sys, harness.store, harness.tables.terminal; heavy = "
        "('torch', 'streamlit', 'numba', 'sklearn', 'faiss', 'pandas'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_wrong_address_is_said_so(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_DATABASE_URL", "nowhere://at/all")
    with pytest.raises(UserError, match="HARNESS_DATABASE_URL"):
        ingest(project.root)
    monkeypatch.setenv("HARNESS_DATABASE_URL", "://")
    with pytest.raises(UserError, match="is not a database's address"):
        ingest(project.root)
