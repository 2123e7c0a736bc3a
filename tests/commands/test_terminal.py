"""What a real terminal is shown: 80 columns, bold, and no control sequence of anybody else's."""

import os
import pty
import re
import struct
import subprocess
import sys
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ

import pytest

from harness.tables.formats import to_terminal
from harness.tables.table import Cell, Table
from tests.store.factory import Project, small_project

COLUMNS = 80
CONTROL = re.compile(r"\x1b\[[0-9;]*m")
HOSTILE = "Clusters \x1b[2J\x1b[1mbold"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = small_project(tmp_path_factory.mktemp("terminal"))
    made.method("cc-twin", role="ablation", title="A Twin Whose Title Would Not End Before the Line Does, and Goes On")
    (made.root / "dvc.yaml").write_text("stages: {}\n")
    return made


def on_terminal(root: Path, *arguments: str) -> str:
    """What `harness` writes to a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    ioctl(theirs, TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
    command = [sys.executable, "-c", "from harness.start import main; main()", *arguments]
    with subprocess.Popen(command, cwd=root, env=environment | {"TERM": "xterm-256color"}, stdin=theirs, stdout=theirs,
                          stderr=theirs, close_fds=True) as process:  # fmt: skip
        os.close(theirs)
        said = b""
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:  # Linux: the other end is closed
                break
            if not chunk:
                break
            said += chunk
    os.close(ours)
    assert process.returncode == 0, said.decode()
    return said.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("command", [("leaderboard", "--task", "beta"), ("list", "runs")])
def test_a_terminal_gets_lines_that_fit_and_weight(project: Project, command: tuple[str, ...]) -> None:
    said = on_terminal(project.root, *command)
    assert "\\u001b" not in said
    for line in said.splitlines():
        assert len(CONTROL.sub("", line)) <= COLUMNS, line
    if command[0] == "leaderboard":
        assert re.search(r"\x1b\[1m\d\d\.\d\x1b\[0m", said)  # the best, in bold
        assert "Cluster Contrast" in said


def test_a_cell_sets_nothing_in_bold_and_clears_no_screen() -> None:
    table = Table(
        "t", ("method", "mAP"), ("method", "map"), (False, True), ((Cell(HOSTILE, HOSTILE), Cell("1.0", 1.0, 1)),)
    )
    said = to_terminal([table], COLUMNS, color=True)
    assert "\x1b[2J" not in said
    assert "\x1b[1mbold" not in said
    assert "\\u001b[2J\\u001b[1mbold" in said
    assert "\x1b[1m1.0\x1b[0m" in said
