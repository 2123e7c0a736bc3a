import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.data.official import PROJECT

HARNESS = [sys.executable, "-c", "from harness.start import main; main()"]
LINE = "interrupted; run the same command again to continue\n"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("signals")
    for name in ("dvc.yaml", "datasets", "methods", "reported.yaml"):
        if (PROJECT / name).exists():
            (root / name).symlink_to(PROJECT / name)
    return root


def started(project: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*HARNESS, *arguments],
        cwd=project,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("after", [0.12, 0.3, 0.8, 2.0])
def test_a_signal_at_any_moment_is_one_line_and_130(project: Path, number: signal.Signals, after: float) -> None:
    process = started(project, "data", "draw", "drawn-summer")
    time.sleep(after)
    os.killpg(process.pid, number)
    _, said = process.communicate(timeout=60)
    if process.returncode in (-number, 1) and after < 0.3:
        pytest.skip("it came before the interpreter had started")
    lines = [line for line in said.splitlines(keepends=True) if not line.startswith("draw ")]
    assert (process.returncode, lines) == (130, [LINE])
    assert not list((project / "data").rglob("*.partial"))


def test_workers_end_with_a_parent_that_is_killed(project: Path) -> None:
    subprocess.run(
        [*HARNESS, "data", "draw", "drawn-summer"], cwd=project, check=True, capture_output=True,
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
    )  # fmt: skip
    code = (
        "import sys; sys.argv[0] = 'x'\n"
        "if __name__ == '__main__':\n"
        "    from pathlib import Path\n"
        "    from harness.data.prepare import prepare\n"
        "    from harness.specs import load_dataset\n"
        "    root = Path.cwd()\n"
        "    prepare(load_dataset('drawn-summer', root), root / 'data/raw/drawn-summer', root / 'out', workers=2)\n"
    )
    (project / "prepare.py").write_text(code)
    process = subprocess.Popen(
        [sys.executable, "prepare.py"], cwd=project, start_new_session=True,
        env=os.environ | {"PYTHONPATH": str(PROJECT)}, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    parent = psutil.Process(process.pid)
    end = time.monotonic() + 60
    while len(workers := [p for p in parent.children() if "spawn_main" in " ".join(p.cmdline())]) < 2:
        assert time.monotonic() < end, "no workers were started"
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert alive == []


def test_the_app_of_a_project_without_configuration_is_private_and_ends_with_its_command(project: Path) -> None:
    (project / "app.py").write_text("import streamlit\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = started(project, "app", "--port", str(port))
    parent = psutil.Process(process.pid)
    listening: list[Any] = []
    end = time.monotonic() + 60
    while not listening:
        assert time.monotonic() < end, "it listens on no port"
        assert process.poll() is None
        time.sleep(0.1)
        servers = parent.children()
        listening = [one for server in servers for one in server.net_connections() if one.status == "LISTEN"]
    assert {(one.laddr.ip, one.laddr.port) for one in listening} == {("127.0.0.1", port)}
    process.kill()
    process.communicate()
    _, alive = psutil.wait_procs(servers, timeout=20)
    assert alive == []
