"""A forked command is what a new process would be, and whatever would not be is not forked."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
from pathlib import Path

import pytest

import harness
from harness.pipeline import command
from harness.pipeline.forked import LOADED, Forked, can_be_forked

LINE = "harness train nobody__nothing__s0"
linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is forked")


@linux
@pytest.mark.parametrize("line", [LINE, "harness evaluate dkd-mpl__drawn-winter-to-drawn-summer__s12"])
def test_what_loads_torch_is_forked(line: str) -> None:
    assert can_be_forked(line, os.environ)
    assert can_be_forked(line, {**os.environ, "CUDA_VISIBLE_DEVICES": "1", "DVC_STAGE": "train"})


@pytest.mark.parametrize(
    "line", ["harness spec dkd-mpl", "harness data prepare x", f"{LINE}; true", f"{LINE} $HOME", f"python -m {LINE}"]
)
def test_all_else_is_left_to_the_shell(line: str) -> None:
    assert not can_be_forked(line, os.environ)


@pytest.mark.parametrize(
    "other", [{"PYTHONPATH": "/elsewhere"}, {"OMP_NUM_THREADS": "3"}, {"HARNESS_DEVICE": "cuda:1"}]
)
def test_an_environment_that_was_read_while_loading_needs_a_new_process(other: dict[str, str]) -> None:
    assert not can_be_forked(LINE, os.environ | other)


def test_code_that_was_edited_since_needs_a_new_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("__init__.py", "part/edited.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.setattr(harness, "__file__", str(tmp_path / "__init__.py"))
    os.utime(tmp_path / "__init__.py", (0, 0))
    assert not can_be_forked(LINE, os.environ)
    os.utime(tmp_path / "part/edited.py", (0, 0))
    assert can_be_forked(LINE, os.environ) == (sys.platform == "linux")


def test_loading_asks_no_gpu() -> None:
    """A process that has asked for GPUs cannot use them in its forks."""
    asked = "torch.cuda.is_available = torch.cuda.device_count = torch.cuda.init = torch.cuda._lazy_init = None"
    loading = "; ".join(f"import {name}" for name in LOADED)
    subprocess.run([sys.executable, "-c", f"import torch; {asked}; {loading}"], check=True)


@linux
def test_it_says_and_returns_what_a_new_process_does(tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    forked = Forked(LINE, str(tmp_path), environment)
    group = os.getpgid(forked.pid)
    said, code = forked.output.read(), forked.wait(60)
    new = subprocess.run(LINE.split(), cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (said, code) == (new.stderr, new.returncode) and code == 1
    assert str(tmp_path) in said  # it ran in that folder
    assert group == forked.pid != os.getpgid(0)


@linux
def test_waiting_has_an_end(tmp_path: Path) -> None:
    forked = Forked(LINE, str(tmp_path), os.environ)
    with pytest.raises(subprocess.TimeoutExpired):
        forked.wait(0)
    forked.output.read()
    assert forked.wait(60) == 1


@linux
@pytest.mark.parametrize("error", [EOFError, ConnectionRefusedError])
def test_without_the_server_it_is_a_new_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def dead(*_: object) -> Forked:
        raise error

    monkeypatch.setattr(command, "Forked", dead)
    environment = {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    events: command.Events = queue.Queue()
    running = command.Command("train", LINE, str(tmp_path), environment, events)
    assert running.process.wait(60) == 1
    name, line = events.get(timeout=60)
    assert name == "train"
    assert str(tmp_path) in (line or "")
