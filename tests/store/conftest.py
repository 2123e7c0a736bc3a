import shutil
from pathlib import Path

import pytest

from harness.store import Store, ingest, open_store
from harness.store.database import database_url
from tests.store.factory import Project, small_project


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("template") / "project"
    small_project(root)
    return root


@pytest.fixture
def project(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.delenv("HARNESS_DATABASE_URL", raising=False)
    return Project(shutil.copytree(template, tmp_path / "project"))


@pytest.fixture
def store(project: Project) -> Store:
    ingest(project.root)
    return open_store(database_url(project.root), read_only=True)
