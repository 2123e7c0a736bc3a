"""What runs is what is recorded: an environment that holds another checkout's code is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from harness.pipeline.code import write_code_hashes
from tests.pipeline.tiny import PROJECT
from tests.pipeline.versioned import Versioned, versioned_project

PLANNED = "pipelines/cluster-contrast/dvc.yaml"


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Versioned:
    """A second clone, whose losses must not be what a record of the first one names."""
    project = versioned_project(tmp_path_factory.mktemp("clones") / "second")
    project.append("harness/learning/losses.py", "\nraise RuntimeError('the second clone runs')\n")
    return project


@pytest.mark.parametrize(
    "arguments", [("check",), ("plan",), ("code",), ("train", "cluster-contrast__drawn-summer__s0")]
)
def test_another_checkouts_code_is_refused(other: Versioned, arguments: tuple[str, ...]) -> None:
    before = (other.root / PLANNED).read_bytes()
    script = f"import sys; sys.argv = ['harness', *{arguments!r}]; from harness.cli import main; main()"
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=other.root, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"runs the 'harness' of {PROJECT}, not this project's own" in done.stderr
    assert "pip install -e ." in done.stderr
    assert "Traceback" not in done.stderr
    assert (other.root / PLANNED).read_bytes() == before


def test_what_is_hashed_is_what_is_imported(other: Versioned) -> None:
    other.run("harness", "code")
    stated = json.loads((other.root / "results" / "code.json").read_text())
    ours = json.loads(write_code_hashes(other.root).read_text())  # this process imported the first checkout's code
    assert stated.keys() == ours.keys()
    assert [name for name in stated if stated[name] != ours[name]] == ["harness/learning/losses.py"]
