"""The `harness` command in a process of its own: started as a user does, or forked from one that has it imported."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from harness.pipeline.processes import die_with_parent

ROOT = Path(__file__).parents[2]
PATIENCE = 300.0
"""Seconds after which a command hangs."""
STARTED = "from harness.start import main; main()"
LINE = "interrupted; run the same command again to continue"


class Child:
    """A command at work in a session of its own, so that its whole group can be told to stop."""

    alive: ClassVar[set[Child]] = set()

    def __init__(self, pid: int, errors: Path) -> None:
        self.pid, self.errors = pid, errors
        self.code: int | None = None
        self.alive.add(self)

    def poll(self) -> int | None:
        """Return its exit code, negative for a signal, or None while it runs."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
                self.alive.discard(self)
        return self.code

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the whole group, as a terminal does."""
        if self.poll() is None:
            try:
                os.killpg(self.pid, number)
            except ProcessLookupError:  # forked a moment ago, it leads no group yet
                os.kill(self.pid, number)

    def wait(self, seconds: float = PATIENCE) -> tuple[int | None, str]:
        """Return exit code and standard error; None for one that hangs, which is killed."""
        end = time.monotonic() + seconds
        while self.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        hangs = self.code is None
        if hangs:
            self.send(signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.code = -signal.SIGKILL
            self.alive.discard(self)
        said = self.errors.read_text(errors="replace")
        self.errors.unlink()
        return (None if hangs else self.code), said

    def orphans(self) -> bool:
        """Whether a process of its group is left two seconds after its end."""
        for _ in range(40):
            try:
                os.killpg(self.pid, 0)
            except ProcessLookupError:
                return False
            time.sleep(0.05)
        os.killpg(self.pid, signal.SIGKILL)
        return True


def end_all() -> None:
    """Kill every command that is still at work."""
    for child in list(Child.alive):
        child.send(signal.SIGKILL)
        child.wait()


def environment() -> dict[str, str]:
    """Return what commands find: this checkout's code, one thread, no GPU, nobody's database."""
    own = {"PYTHONPATH": str(ROOT), "HARNESS_DEVICE": "cpu", "OMP_NUM_THREADS": "1", "DVC_NO_ANALYTICS": "1"}
    return {name: value for name, value in os.environ.items() if name != "HARNESS_DATABASE_URL"} | own


def started(root: Path, *arguments: str) -> Child:
    """Start `harness ARGUMENTS`."""
    return spawned(root, [sys.executable, "-c", STARTED, *arguments])


def spawned(root: Path, command: list[str], own: dict[str, str] | None = None) -> Child:
    """Start a command in the folder `root`, with variables of its `own`."""
    errors = _errors()
    with errors.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=root, env=environment() | (own or {}), start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=file, preexec_fn=die_with_parent,
        )  # fmt: skip
    process.returncode = 0  # this object is not asked: it would take the exit code
    return Child(process.pid, errors)


def preload() -> None:
    """Import what commands need, without doing anything: forked ones then need no seconds for it."""
    for module in ("harness.cli", "harness.pipeline.training.train", "harness.pipeline.evaluate", "harness.use.model",
                   "harness.data.prepare", "harness.drawn.dataset", "harness.tables.terminal"):  # fmt: skip
        importlib.import_module(module)
    for module in ("torch._dynamo", "sklearn.metrics", "sklearn.cluster", "dvc.repo", "methods.cluster_contrast"):
        importlib.import_module(module)  # what others import when they are first used


def forked(root: Path, *arguments: str, before: Callable[[], object] | None = None) -> Child:
    """Fork `harness ARGUMENTS` off this process, which must not have begun threads; `before` runs in it first."""
    errors = _errors()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setsid()
            die_with_parent()
            signal.signal(signal.SIGTERM, signal.SIG_DFL)  # this process's own way is not the command's
            for number in (0, 1, 2):
                target = errors if number == 2 else Path(os.devnull)
                os.dup2(os.open(target, os.O_RDWR), number)
            os.chdir(root)
            os.environ.clear()
            os.environ.update(environment())
            sys.argv = ["harness", *arguments]
            if before:
                before()
            from harness.start import main

            main()
            code = 0
        except SystemExit as done:
            code = int(done.code or 0)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return Child(pid, errors)


def verdict(code: int | None, said: str, *, interrupted: bool = False) -> str | None:
    """Return what is wrong with how a command ended: it succeeds, or says in a line what to do."""
    if code is None:
        return "hangs"
    if "Traceback" in said or "Exception ignored" in said:
        return f"exit {code}: {said[-400:]}"
    if interrupted and code == 130:
        return None if said.rstrip().endswith(LINE) else f"no line: {said[-200:]}"
    if code not in (0, 1):
        return f"exit {code}: {said[-200:]}"
    return None if code == 0 or "error: " in said else f"exit 1 without a word: {said[-200:]}"


def last_line(said: str, root: Path) -> str:
    """Return the last line of a message, without the project's own place."""
    lines = [line for line in said.splitlines() if line.startswith(("error: ", "warning: ", "interrupted"))]
    return lines[-1].replace(f"{root}/", "") if lines else ""


def _errors() -> Path:
    handle, name = tempfile.mkstemp(prefix="said-")
    os.close(handle)
    return Path(name)
