"""Injected faults, each kind in a process of its own, which may fork, mount and change its folder."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.faults.cases import CASES
from benchmarks.faults.processes import ROOT, environment
from benchmarks.faults.row import Row
from harness.pipeline.processes import die_with_parent

GLANCE_SECONDS = 0.1
_TINY = "import sys; from pathlib import Path; from benchmarks.faults.projects import Tiny; Tiny(Path(sys.argv[1]))"


def campaign(kinds: Sequence[str], seed: int, seconds: float, processes: int, counted: Callable[[Row], None]) -> None:
    """Try cases of each kind for `seconds`, several kinds at once. `counted` is told of each row when it is done.

    Interrupted, it counts what was tried until then.
    """
    waiting = list(kinds)  # taken from its end: whole pipelines, which need the most before their first case
    running: dict[str, Kind] = {}
    with tempfile.TemporaryDirectory() as name:
        command = [sys.executable, "-c", _TINY, name]
        subprocess.run(command, cwd=ROOT, env=environment(), check=True, stdout=subprocess.DEVNULL)
        try:
            while waiting or running:
                while waiting and len(running) < processes:
                    running[waiting[-1]] = Kind(waiting[-1], seed, seconds, Path(name))
                    waiting.pop()
                for what in [what for what, at_work in running.items() if at_work.process.poll() is not None]:
                    counted(running.pop(what).row())
                time.sleep(GLANCE_SECONDS)
        finally:
            for at_work in running.values():
                at_work.process.terminate()
            for at_work in running.values():
                counted(at_work.row())


class Kind:
    """A process that tries cases of one kind."""

    def __init__(self, what: str, seed: int, seconds: float, folder: Path) -> None:
        number = list(CASES).index(what)
        self.what, self.place = what, folder / f"row{number}"
        self.answer, self.said = folder / f"{number}.json", folder / f"{number}.txt"
        command = [sys.executable, "-m", "benchmarks.faults.cases", what, str(seed), str(seconds), str(folder)]
        with self.answer.open("wb") as out, self.said.open("wb") as errors:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=environment(), stdout=out, stderr=errors, stdin=subprocess.DEVNULL,
                start_new_session=True, preexec_fn=die_with_parent,
            )  # fmt: skip

    def row(self) -> Row:
        """Return what it counted."""
        code = self.process.wait()
        shutil.rmtree(self.place, ignore_errors=True)
        if code == -signal.SIGTERM:  # before its first case
            return Row(self.what)
        if code:
            lines = self.said.read_text(errors="replace").strip().splitlines()
            return Row(self.what, tried=1, failures=[f"the case itself: {lines[-1] if lines else code}"])
        counted = json.loads(self.answer.read_text())
        return Row(self.what, **counted | {"seen": Counter(counted["seen"])})
