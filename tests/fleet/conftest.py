"""A small lab: a project of three runs, two of which start from the third, and a folder as the shared remote."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.specs.registry import Registry
from tests.pipeline.tiny import read, write
from tests.pipeline.versioned import Versioned, versioned_project

METHODS = ("source-baseline", "direct-transfer", "adabn")
TASK = "drawn-winter-to-drawn-summer"
START = "source-baseline__drawn-winter__s0"
DIRECT, ADABN = (f"{method}__{TASK}__s0" for method in METHODS[1:])
EPOCHS = 6
SLOW = """

_save = save


def save(*arguments):  # so that a test can come between two epochs
    _save(*arguments)
    time.sleep(0.3)
"""


def _slow_start(root: Path) -> None:
    spec = root / "methods" / "source-baseline.yaml"
    written = read(spec)
    written["regimes"]["drawn"]["compute"]["epochs"] = EPOCHS
    write(spec, written)
    with (root / "harness" / "pipeline" / "training" / "resume.py").open("a") as file:
        file.write(SLOW)


class Lab:
    """The project, its remote, and what a worker is told."""

    def __init__(self, project: Versioned, remote: Path) -> None:
        self.project, self.root, self.remote = project, project.root, remote

    @property
    def registry(self) -> Registry:
        return Registry.load(self.root).checked()

    def documents(self) -> list[Path]:
        return sorted(self.remote.glob("fleet/*/work/*.json"))


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A lab in which nothing has run. Its folders are of the session: tests leave the project's tree clean."""
    folder = tmp_path_factory.mktemp("lab")
    project = versioned_project(folder / "project", METHODS, "source-baseline", _slow_start)
    (folder / "remote").mkdir()
    project.run("dvc", "remote", "add", "--default", "lab", str(folder / "remote"))
    project.run("git", "commit", "-q", "-a", "-m", "A remote")
    return Lab(project, folder / "remote")


@pytest.fixture
def at_lab(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """The lab, with this process in its folder."""
    monkeypatch.chdir(lab.root)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(lab.root.parent / "site-cache"))
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    return lab
