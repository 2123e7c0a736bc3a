"""The running command of a stage: a process in a group of its own, and the lines that it writes."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import IO, Protocol, cast

from harness.pipeline.forked import Forked, can_be_forked
from harness.pipeline.processes import die_with_parent

TAIL_LINES = 15

Events = queue.Queue[tuple[str, str | None]]
"""Pairs of a stage and a line that its command wrote; None in place of the line when it has closed its output."""


class _Process(Protocol):
    """What `subprocess.Popen` and `Forked` have in common."""

    pid: int

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code, negative for a signal. Raises subprocess.TimeoutExpired."""


class Command:
    """The command of the stage `name`, begun in `folder` with `environment`.

    It has a process group of its own, so that a Ctrl-C reaches it through us alone, and is told to stop when we die.
    """

    def __init__(self, name: str, line: str, folder: str, environment: Mapping[str, str], events: Events) -> None:
        self.name, self.events = name, events
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self.process, output = _begun(line, folder, environment)
        threading.Thread(target=self._read, args=(output,), daemon=True).start()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the command and to all that it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def _read(self, output: IO[str]) -> None:
        with output:
            for line in output:
                self.events.put((self.name, line.rstrip("\n")))
        self.events.put((self.name, None))


def _begun(line: str, folder: str, environment: Mapping[str, str]) -> tuple[_Process, IO[str]]:
    if can_be_forked(line, environment):
        with suppress(OSError, EOFError):  # the server died, as where torch cannot be loaded: a new process says why
            forked = Forked(line, folder, environment)
            return forked, forked.output
    process = subprocess.Popen(
        ["/bin/sh", "-c", line],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=die_with_parent,  # killed at once, we could not tell it to stop
        text=True,
        errors="replace",
    )
    return process, cast(IO[str], process.stdout)
