"""A project that may not be written to: one line, exit 1, whatever the command."""

import ctypes
import os
import subprocess
from pathlib import Path

import pytest

from harness.store import ingest
from tests.data.official import PROJECT
from tests.store.factory import small_project
from tests.test_signals import HARNESS

COMMANDS = {
    "leaderboard": ["leaderboard"],
    "leaderboard to a file": ["leaderboard", "--format", "csv", "--output", "board.csv"],
    "schema": ["schema"],
    "report": ["results", "report"],
    "publish": ["results", "publish", "--partial"],
    "plan": ["plan"],
    "new method": ["new", "method", "mine", "--from", "cc-twin"],
    "code": ["code"],
    "prepare": ["data", "prepare", "beta"],
    "prepare anew": ["data", "prepare", "beta"],
    "site": ["site", "build/board"],
}


def _obey_permissions() -> None:
    """Give up root's right to write everywhere, for good."""
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = small_project(tmp_path_factory.mktemp("read_only") / "project").root
    (root / "dvc.yaml").write_text("stages: {}\n")
    ingest(root)
    return root


@pytest.mark.parametrize("name", COMMANDS)
def test_a_read_only_project_is_one_line(project: Path, name: str) -> None:
    folders = [project, *(path for path in project.rglob("*") if path.is_dir())]
    files = [path for path in project.rglob("*") if path.is_file()]
    for path in [*files, *folders]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        done = subprocess.run(
            [*HARNESS, *COMMANDS[name]], cwd=project, capture_output=True, text=True, check=False,
            env=os.environ | {"PYTHONPATH": str(PROJECT)},
            preexec_fn=_obey_permissions,
        )  # fmt: skip
    finally:
        for path in [*folders, *files]:
            path.chmod(0o755)
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 1), done.stderr
    if done.returncode:
        assert done.stderr.splitlines()[-1].startswith(("error: ", "  ")), done.stderr


@pytest.mark.parametrize(("closed", "code"), [(">&-", 0), ("2>&-", 0), (">&- 2>&-", 0), ("> /dev/full", 1)])
def test_an_output_that_is_closed_or_full(project: Path, closed: str, code: int) -> None:
    done = subprocess.run(
        ["sh", "-c", f'"$@" {closed}', "sh", *HARNESS, "list", "runs"], cwd=project, capture_output=True, text=True,
        check=False, env=os.environ | {"PYTHONPATH": str(PROJECT)},
    )  # fmt: skip
    full = "error: the output: No space left on device; free some space or mend it\n"
    assert (done.returncode, done.stderr) == (code, full if code else "")


@pytest.mark.parametrize("make", ["mknod {} c 1 3", "mkfifo {}"])
def test_a_device_or_pipe_is_not_replaced(project: Path, tmp_path: Path, make: str) -> None:
    output = tmp_path / "board.csv"
    if subprocess.run([*make.format(output).split()], capture_output=True, check=False).returncode:
        pytest.skip("making a device is not allowed here")
    before = output.stat()
    done = subprocess.run(
        [*HARNESS, "leaderboard", "--format", "csv", "--output", str(output)], cwd=project, capture_output=True,
        text=True, check=False, env=os.environ | {"PYTHONPATH": str(PROJECT)},
    )  # fmt: skip
    assert (done.returncode, "not a regular file; name another file" in done.stderr) == (1, True)
    assert (output.stat().st_ino, output.stat().st_mode) == (before.st_ino, before.st_mode)
    assert [path.name for path in tmp_path.iterdir()] == ["board.csv"]
