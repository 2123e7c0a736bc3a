"""A tiny project in Git and DVC with code of its own, so that tests can edit any file of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.pipeline.tiny import PROJECT, TARGET, read, write, write_specs

METHODS = ("cluster-contrast", "colour-histogram")
CODE = (".dvc/.gitignore", ".dvc/config", ".dvcignore", ".gitignore", "dvc.yaml", "app.py")
RUNNING = re.compile(r"Running stage '(.+)'")


@dataclass(frozen=True)
class Versioned:
    """A project, and commands in it."""

    root: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a command finds there: the project's own code, as if it were installed."""
        return os.environ | {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONPATH": str(self.root),
            "DVC_SITE_CACHE_DIR": str(self.root.parent / "site-cache"),
            "DVC_NO_ANALYTICS": "1",
            "HARNESS_DEVICE": "cpu",
            "OMP_NUM_THREADS": "1",
            "SHELL": "/bin/sh",
        }

    def attempt(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command and return what came of it."""
        return subprocess.run(command, cwd=self.root, env=self.environment, capture_output=True, text=True, check=False)

    def begin(self, *command: str) -> subprocess.Popen[str]:
        """Start a command."""
        return subprocess.Popen(
            command, cwd=self.root, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self, *command: str) -> str:
        """Run a command that must succeed, and return what it wrote to standard output."""
        done = self.attempt(*command)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def edit(self, path: str, old: str, new: str) -> None:
        text = (self.root / path).read_text()
        assert old in text
        (self.root / path).write_text(text.replace(old, new, 1))

    def append(self, path: str, text: str) -> None:
        with (self.root / path).open("a") as file:
            file.write(text)


def stages(output: str) -> list[str]:
    """The stages that DVC says it ran, in order."""
    return RUNNING.findall(output)


def versioned_project(
    root: Path,
    methods: Iterable[str] = METHODS,
    random_init: str = "cluster-contrast",
    edit: Callable[[Path], None] | None = None,
) -> Versioned:
    """Make the project, `edit` its files before they are committed; nothing has run yet."""
    write_specs(root, methods)
    for file in CODE:
        (root / file).parent.mkdir(exist_ok=True)
        shutil.copy(PROJECT / file, root / file)
    for package in ("harness", "methods"):  # with Numba's compiled kernels
        shutil.copytree(PROJECT / package, root / package, ignore=shutil.ignore_patterns("*.yaml"), dirs_exist_ok=True)
    project = Versioned(root)
    spec = root / "methods" / f"{random_init}.yaml"
    written = read(spec)
    written["regimes"]["drawn"]["init"] = "random"  # one run less to wait for
    write(spec, written)
    if edit:
        edit(root)
    project.run("harness", "plan", "--seeds", "0", "--targets", TARGET)
    project.run("git", "init", "-q")
    project.run("git", "config", "user.name", "A Test")
    project.run("git", "config", "user.email", "test@example.org")
    project.run("git", "add", ".")
    project.run("git", "commit", "-q", "-m", "A project")
    return project
