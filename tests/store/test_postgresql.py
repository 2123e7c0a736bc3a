"""A real PostgreSQL as the index that machines share; Debian: apt-get install --no-install-recommends postgresql."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from harness.store import ingest, open_store, views
from harness.store.database import database_url
from tests.store.factory import Project

WRITERS = 8
BINARIES = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)
pytest.importorskip("psycopg")
pytestmark = pytest.mark.skipif(BINARIES is None, reason="PostgreSQL is not installed")


def as_somebody(*command: str) -> list[str]:
    """The command as a user that is not root, which PostgreSQL refuses to run as."""
    return (
        ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]
        if os.getuid() == 0
        else [*command]
    )


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A server on the loopback, with nothing in it; its address. Its folder is none of pytest's private ones."""
    assert BINARIES is not None
    with tempfile.TemporaryDirectory(prefix="postgresql-") as name, socket.socket() as free:
        folder = Path(name)
        if os.getuid() == 0:
            owner = pwd.getpwnam("postgres")
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        data = str(folder / "data")

        def call(program: str, *options: str) -> None:
            command = as_somebody(f"{BINARIES}/{program}", "-D", data, *options)
            subprocess.run(command, check=True, capture_output=True, cwd=folder)

        call("initdb", "-U", "lab", "--auth=trust", "--no-sync", "-E", "UTF8")
        wanted = (
            f"listen_addresses=127.0.0.1 port={port} unix_socket_directories={folder} fsync=off timezone=Asia/Tokyo"
        )
        options = " ".join(f"-c {setting}" for setting in wanted.split())
        call("pg_ctl", "-l", str(folder / "log"), "-o", options, "-w", "-t", "300", "start")
        try:
            yield f"postgresql+psycopg://lab@127.0.0.1:{port}"
        finally:
            call("pg_ctl", "-m", "immediate", "-t", "300", "stop")


@pytest.fixture
def shared(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty database; `HARNESS_DATABASE_URL` names it."""
    name = f"board{abs(hash(tmp_path)) % 10**9}"
    with create_engine(f"{server}/postgres", isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    monkeypatch.setenv("HARNESS_DATABASE_URL", f"{server}/{name}")
    return f"{server}/{name}"


def what_is_read(url: str) -> tuple[object, ...]:
    store = open_store(url, read_only=True)
    try:
        rows = views.leaderboard(store, "beta")
        runs = [run.model_dump(exclude={"place", "seal"}) for run in views.runs(store)]
        return rows, sorted(runs, key=lambda run: run["key"]), views.tasks(store)
    finally:
        store.close()


def test_the_pages_read_what_they_read_from_sqlite(
    project: Project, shared: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HARNESS_DATABASE_URL")
    ingest(project.root)
    expected = what_is_read(database_url(project.root))
    monkeypatch.setenv("HARNESS_DATABASE_URL", shared)
    report = ingest(project.root)
    assert (len(report.added), report.problems) == (10, [])
    assert what_is_read(shared) == expected
    again = ingest(project.root)
    assert (again.unchanged, again.added, again.updated) == (10, [], [])


def test_eight_writers_at_once_lose_and_duplicate_nothing(template: Path, tmp_path: Path, shared: str) -> None:
    """Each machine holds two runs of its own and one that all hold; every one takes in what it has, twice."""
    projects = []
    for number in range(WRITERS):
        project = Project(shutil.copytree(template, tmp_path / str(number)))
        for folder in (project.root / "results" / "runs").iterdir():
            if folder.name != "supervised__beta__s0":
                shutil.rmtree(folder)
        for seed in (10 + 2 * number, 11 + 2 * number):
            project.run(f"cluster-contrast__beta__s{seed}", 0.6)
        projects.append(project)
    with ThreadPoolExecutor(WRITERS) as pool:
        reports = list(pool.map(ingest, [project.root for project in projects] * 2))
    expected = {"supervised__beta__s0", *(f"cluster-contrast__beta__s{seed}" for seed in range(10, 10 + 2 * WRITERS))}
    assert [report.removed + report.problems for report in reports] == [[]] * len(reports)
    assert sorted(key for report in reports for key in report.added) == sorted(expected)
    store = open_store(shared, read_only=True)
    assert {run.key for run in views.runs(store)} == expected
    tried = [attempt.key for attempt in views.attempts(store)]
    assert sorted(tried) == sorted(["uda-baseline__alpha-to-beta__s0", "uda-baseline__alpha-to-beta__s1"] * WRITERS)
    (row,) = [row for row in views.leaderboard(store, "beta") if row.method == "cluster-contrast"]
    assert row.seeds == tuple(range(10, 10 + 2 * WRITERS))
    store.close()
    gone = "cluster-contrast__beta__s10"  # a machine takes away what it brought, and only that
    shutil.rmtree(projects[0].root / "results" / "runs" / gone)
    assert ingest(projects[0].root).removed == [gone]
    store = open_store(shared, read_only=True)
    assert {run.key for run in views.runs(store)} == expected - {gone}
    store.close()


def test_numbers_as_large_as_documents_may_hold_are_taken(project: Project, shared: str) -> None:
    path = project.attempt("uda-baseline__alpha-to-beta__s0", "failed")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"epoch": 2**62}))
    assert ingest(project.root).problems == []
    store = open_store(shared, read_only=True)
    assert max(attempt.epoch for attempt in views.attempts(store)) == 2**62
    store.close()
