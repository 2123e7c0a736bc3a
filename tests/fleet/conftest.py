"""A small lab: a project and a folder as the shared remote."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.specs.registry import Registry
from tests.pipeline.tiny import read, write
from tests.pipeline.versioned import Versioned, versioned_project

METHODS = ("source-baseline", "direct-transfer", "cluster-contrast")
START = "source-baseline__drawn-winter__s0"
CLUSTERS = "cluster-contrast__drawn-summer__s0"
EPOCHS = 8
SLOW = """

_save = save


def save(*arguments):  # so that a test can come between two epochs
    _save(*arguments)
    time.sleep(1)
"""


def _slow(root: Path) -> None:
    for name in ("source-baseline", "cluster-contrast"):
        spec = root / "methods" / f"{name}.yaml"
        written = read(spec)
        written["regimes"]["drawn"]["compute"]["epochs"] = EPOCHS
        written["regimes"]["drawn"]["init"] = "random"
        write(spec, written)
    with (root / "harness" / "pipeline" / "training" / "resume.py").open("a") as file:
        file.write(SLOW)


def work_of(lab: Lab, item: str) -> dict[str, Any]:
    """What the newest fleet says of an item."""
    paths = sorted(lab.remote.glob(f"fleet/*/work/{item}.json"), key=lambda path: path.stat().st_mtime)
    return dict(json.loads(paths[-1].read_text())) if paths else {}


def is_amid(lab: Lab, item: str) -> bool:
    """Whether a worker is between the first and the last epoch of a run."""
    work = work_of(lab, item)
    return work.get("status") == "running" and 1 < work["epoch"] < EPOCHS


class Lab:
    """The project, its remote, and what a worker is told."""

    def __init__(self, project: Versioned, remote: Path) -> None:
        self.project, self.root, self.remote = project, project.root, remote

    @property
    def registry(self) -> Registry:
        return Registry.load(self.root).checked()

    def started(self, *command: str) -> subprocess.Popen[str]:
        """A command in the project, begun and not waited for, in a process group of its own."""
        environment = os.environ | {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONPATH": str(self.root), "OMP_NUM_THREADS": "1", "SHELL": "/bin/sh",
        }  # fmt: skip
        return subprocess.Popen(
            command, cwd=self.root, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A lab in which nothing has run. Its folders are of the session: tests leave the project's tree clean."""
    folder = tmp_path_factory.mktemp("lab")
    project = versioned_project(folder / "project", METHODS, "source-baseline", _slow)
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
