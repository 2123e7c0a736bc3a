import os
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import make_url

from harness.errors import UserError
from harness.inputs.address import without_secrets
from harness.store import ingest, open_store, views
from harness.store.database import StoreMissingError, database_url
from tests.store.factory import Project, small_project

SECRET = "S3cret"
WRONG = [
    f"postgresql+psycopg://user:a@b:{SECRET}@host/name",
    f"postgresql+psycopg://user:a@{SECRET}@host/name",
    f"postgresql+psycopg://user:{SECRET}@host:port/name",
    f"postgresql+psycopg://user:{SECRET}@host:99999999/name",
    f"user:{SECRET}@host",
    f"/tmp/user:{SECRET}@host",
    f"nowhere://user:{SECRET}@host/name",
    f"mysql://user:{SECRET}@host/name",
    f"postgresql+{SECRET}://user@host/name",
    f"postgresql+psycopg://user:{SECRET}@127.0.0.1:1/name",
    f"postgresql+psycopg://user@127.0.0.1:1/name?password={SECRET}",
    f"postgresql+psycopg://user@127.0.0.1:1/name?{SECRET}={SECRET}",
    f"sqlite://user:{SECRET}@host/name",
    f"sqlite:///file:{SECRET}?mode=memory&uri=true",
    f"sqlite:///%00{SECRET}",
    f"postgresql+psycopg://user:{SECRET}%00@host/name",
    "sqlite://",
    "sqlite:///:memory:",
    "://",
]


@pytest.mark.parametrize("address", WRONG)
def test_a_wrong_address_is_a_user_error_without_its_secret(
    project: Project, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("HARNESS_DATABASE_URL", address)
    monkeypatch.chdir(project.root)
    before = sorted(project.root.rglob("*"))
    with pytest.raises(UserError, match=r"HARNESS_DATABASE_URL|the database name cannot be used") as caught:
        ingest(project.root)
    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert sorted(project.root.rglob("*")) == before


def test_a_drivers_message_loses_every_secret() -> None:
    url = make_url("postgresql+psycopg://user:one@host/name?sslpassword=two&options=three")
    assert without_secrets("one of two, or three", url) == "*** of ***, or ***"


@pytest.mark.parametrize("name", ["a#b", "a?b", "e%20f", "100%", "a b", "ü", "a;b", "a&mode=memory", "it's"])
def test_the_database_lies_in_its_project_whatever_the_folder_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv("HARNESS_DATABASE_URL", raising=False)
    root = small_project(tmp_path / name).root
    ingest(root)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (root / "results" / "leaderboard.db").is_file()
    assert views.snapshot(open_store(database_url(root), read_only=True)).runs == 10
    with_url = f"sqlite:///{root}/results/other.db"
    if "?" not in name and "%" not in name:
        open_store(with_url).close()
        assert (root / "results" / "other.db").is_file()


def test_a_sqlite_url_is_opened_read_only_like_a_path(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    with pytest.raises(StoreMissingError):
        open_store(url, read_only=True)
    open_store(url).close()
    (tmp_path / "x.db").chmod(0o444)
    store = open_store(url, read_only=True)
    assert "mode=ro" in str(store.engine.url)


@pytest.mark.parametrize("kind", ["folder", "pipe", "loop"])
@pytest.mark.parametrize("read_only", [False, True])
def test_only_a_regular_file_is_a_database(tmp_path: Path, kind: str, read_only: bool) -> None:
    path = tmp_path / "leaderboard.db"
    make: dict[str, Callable[[Path], None]] = {
        "folder": Path.mkdir,
        "pipe": os.mkfifo,
        "loop": lambda path: path.symlink_to(path.name),
    }
    make[kind](path)
    with pytest.raises(UserError, match="not a regular file"):
        open_store(path, read_only)
