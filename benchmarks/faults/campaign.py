"""Faults, injected and counted: `python -m benchmarks faults [--minutes N] [--seed S]` writes docs/reliability.md.

A case survives if the user gets the promised result, or one line that says what is wrong and what to do, and the next
call goes on. A traceback, a hang (5 s of processor time for one input), more than 1 GB for one input, a file left
behind, a process left behind or another figure is a failure. Half of the time goes to injected faults, half to fuzzed
inputs; two processes work at once.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.faults import fuzzing
from benchmarks.faults.cases import CASES
from benchmarks.faults.processes import ROOT, environment
from benchmarks.faults.report import report
from benchmarks.faults.row import Row
from harness.paths import write_text

PROCESSES = 2


def campaign(minutes: float, seed: int, only: str) -> tuple[list[Row], list[Row]]:
    """Run every kind of case for its share of the time; return the rows of injected faults and of fuzzed inputs."""
    share = 60 * minutes / 2
    chosen = [what for what in CASES if only in what]
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(PROCESSES) as pool:
        folder = Path(name)
        if chosen:
            subprocess.run(
                [sys.executable, "-c", _TINY, name], cwd=ROOT, env=environment(), check=True, stdout=subprocess.DEVNULL
            )
        seconds = PROCESSES * share / max(1, len(chosen))
        for row in pool.map(lambda what: _row(what, seed, seconds, folder), chosen):
            _tell(row)
            rows.append(row)
        if not only:
            return rows, fuzzing.campaign(seed, share, PROCESSES, _tell)
    return rows, []


_TINY = "import sys; from pathlib import Path; from benchmarks.faults.projects import Tiny; Tiny(Path(sys.argv[1]))"


def _row(what: str, seed: int, seconds: float, folder: Path) -> Row:
    """Run one kind of case in a process of its own, which may fork, mount and change its folder."""
    command = [sys.executable, "-m", "benchmarks.faults.cases", what, str(seed), str(seconds), str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, check=False)
    shutil.rmtree(folder / f"row{list(CASES).index(what)}", ignore_errors=True)
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        return Row(what, tried=1, failures=[f"the case itself: {lines[-1] if lines else done.returncode}"])
    counted = json.loads(done.stdout)
    return Row(what, **counted | {"seen": Counter(counted["seen"])})


def _tell(row: Row) -> None:
    print(f"{row.what}: {row.survived:,} of {row.tried:,} survived", *row.failures[:5], sep="\n  ", flush=True)


def main(arguments: list[str]) -> None:
    """Run the campaign and write its report; exit 1 if anything failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks faults", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="kinds of injected faults whose name holds this; writes no report")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "reliability.md")
    options = parser.parse_args(arguments)
    rows, fuzzed = campaign(options.minutes, options.seed, options.only)
    if not options.only:
        write_text(options.output, report(rows, fuzzed, options.minutes, options.seed))
        print(f"wrote {options.output}")
    failed = sum(row.tried - row.survived for row in (*rows, *fuzzed))
    print(f"{failed} failures")
    sys.exit(failed > 0)
