"""The pages and the database: built, rebuilt, locked, corrupt, and only read."""

import sqlite3
from pathlib import Path

import pytest
import streamlit as st
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from harness.leaderboard import state
from harness.store import database, ingest
from harness.store.database import database_url
from tests.leaderboard.apps import opened
from tests.store.factory import Project


def test_a_corrupt_database_is_said_so(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(database_url(project.root)).write_bytes(b"nothing of the kind" * 500)
    app = opened(project.root, monkeypatch)
    assert "nothing is lost" in app.error[0].value
    assert not app.exception


def test_a_database_is_built_on_the_first_visit_and_one_of_another_schema_rebuilt(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = Path(database_url(project.root))
    assert not url.exists()
    assert len(opened(project.root, monkeypatch, task="beta").dataframe[0].value) == 3
    with create_engine(f"sqlite:///{url}").begin() as connection:
        connection.execute(text("UPDATE meta SET value = '1' WHERE name = 'schema'"))
        connection.execute(text("DROP TABLE entry"))
    st.cache_resource.clear()
    app = opened(project.root, monkeypatch, task="beta")
    assert not app.error
    assert len(app.dataframe[0].value) == 3


def test_a_database_that_another_process_locks_is_said_so(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    ingest(project.root)
    monkeypatch.setattr(database, "BUSY_SECONDS", 0)
    other = sqlite3.connect(database_url(project.root), isolation_level=None)
    other.execute("PRAGMA journal_mode=DELETE")
    other.execute("BEGIN EXCLUSIVE")
    app = opened(project.root, monkeypatch)
    assert "locked by another process" in app.error[0].value
    other.execute("ROLLBACK")
    assert not app.run().error


def test_the_app_opens_the_database_only_for_reading(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    ingest(project.root)
    monkeypatch.chdir(project.root)
    opened_store = state.store()
    with opened_store.engine.connect() as connection, pytest.raises(OperationalError, match="readonly"):
        connection.execute(text("DELETE FROM run"))


def test_a_page_outlives_a_result_that_is_written_while_it_is_read(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(project.root)
    monkeypatch.setattr(database, "BUSY_SECONDS", 0)
    other = sqlite3.connect(database_url(project.root), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.execute("DELETE FROM entry")
    app = opened(project.root, monkeypatch, task="beta")
    assert not app.exception
    assert not app.error
    assert len(app.dataframe[0].value) == 3  # the state before
    project.method("newcomer")
    project.run("newcomer__beta__s0", 0.9)
    (button,) = [button for button in app.run().button if "new result" in button.label]
    button.click().run()
    assert "locked by another process" in app.error[0].value
    other.execute("ROLLBACK")
    (button,) = [button for button in app.run().button if "new result" in button.label]
    button.click().run()
    assert "Newcomer" in app.dataframe[0].value["method"].tolist()


def test_a_rebuilt_database_is_seen_at_once(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(project.root, monkeypatch, task="beta")
    Path(database_url(project.root)).unlink()
    project.method("newcomer")
    project.run("newcomer__beta__s0", 0.9)
    ingest(project.root)
    assert "Newcomer" in app.run().dataframe[0].value["method"].tolist()
