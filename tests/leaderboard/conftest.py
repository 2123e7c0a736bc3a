from pathlib import Path

import pytest
import streamlit as st

from tests.store.conftest import project, store, template
from tests.store.factory import Project, small_project

__all__ = ["project", "store", "template"]


@pytest.fixture(scope="session")
def pictured(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with images; tests only read it."""
    return small_project(tmp_path_factory.mktemp("pictured"), images=True)


@pytest.fixture(autouse=True)
def _fresh_caches() -> None:
    st.cache_resource.clear()


@pytest.fixture
def artefacts() -> Path:
    """Where screenshots are kept to be looked at (git ignores it)."""
    folder = Path(__file__).parents[2] / "test-artefacts"
    folder.mkdir(exist_ok=True)
    return folder
