"""Our own commands, forked from a process that has torch loaded: they begin in a tenth of a second, not in three.

The process is Python's fork server. It computes nothing itself and asks no GPU, so that a fork of it is what a new
process would be. It dies with us, and what it has forked is then told to stop.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import cache
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path

import harness
from harness.pipeline.processes import die_with_parent
from harness.specs.pairing import KEY

OURS = re.compile(rf"harness (train|evaluate) {KEY.pattern}")
"""The commands that load torch, and so often that it matters."""
LOADED = ["harness.cli", "harness.pipeline.training.train", "harness.pipeline.evaluate"]
READ_LATER = {"PATH", "DVC_ROOT", "DVC_STAGE", "CUDA_VISIBLE_DEVICES"}
"""What may be another in a fork's environment. All else may have been read while loading, such as PYTHONPATH."""
SAFE_PATH = "PYTHONSAFEPATH"
"""Keeps the current folder from the fork server's path: the `harness` command, which it stands for, has none either."""


def can_be_forked(line: str, environment: Mapping[str, str]) -> bool:
    """Whether a command is one of ours, on a system that can, and a new process would load what we have loaded."""
    if sys.platform != "linux" or not OURS.fullmatch(line):
        return False
    others = {name for name, _ in environment.items() ^ os.environ.items()}
    return others <= READ_LATER and not _edited(_server()[1])


class Forked:
    """A running command of ours: a fork in a process group of its own, in `folder` with `environment`.

    `output` is what it writes, on both streams.
    """

    def __init__(self, line: str, folder: str, environment: Mapping[str, str]) -> None:
        context, _ = _server()
        reader, writer = context.Pipe(duplex=False)
        self._process = context.Process(target=_run, args=(line.split(), folder, dict(environment), writer))
        self._process.start()
        writer.close()
        os.read(reader.fileno(), 1)  # until it has its group, or has died: a signal to the group would be lost
        self.output = os.fdopen(os.dup(reader.fileno()), encoding="utf-8", errors="replace")
        reader.close()
        self.pid = self._process.pid or 0

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code, negative for a signal. Raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("harness", timeout or 0.0)
        return self._process.exitcode


@cache
def _server() -> tuple[ForkServerContext, float]:
    """Return the fork server and when it began to load our code."""
    context, began = multiprocessing.get_context("forkserver"), time.time()
    context.set_forkserver_preload(LOADED)
    before = os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = "1"
    try:
        forkserver.ensure_running()
    finally:
        if before is None:
            del os.environ[SAFE_PATH]
        else:
            os.environ[SAFE_PATH] = before
    return context, began


def _edited(since: float) -> bool:
    """Whether a file of ours is younger: then a fork would run other code than the one whose hash it records."""
    return any(path.stat().st_mtime > since for path in Path(harness.__file__).parent.rglob("*.py"))


def _run(words: list[str], folder: str, environment: dict[str, str], output: Connection) -> None:
    multiprocessing.set_start_method(None, force=True)  # as in a new process, not "forkserver"
    os.setsid()
    die_with_parent()
    os.write(output.fileno(), b"\n")
    os.dup2(output.fileno(), 1)
    os.dup2(output.fileno(), 2)
    output.close()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = words
    from harness.start import main

    main()
