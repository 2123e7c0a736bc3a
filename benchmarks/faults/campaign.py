"""Faults, injected and counted: `python -m benchmarks faults [--minutes N] [--seed S]` writes docs/reliability.md.

A case survives if the user gets the promised result, or one line that says what is wrong and what to do, and the next
call goes on. A traceback, a hang (5 s of processor time for one input), more than 1 GB for one input, a file left
behind, a process left behind or another figure is a failure. Half of the time goes to injected faults, half to fuzzed
inputs; two processes work at once.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.faults import fuzzing
from benchmarks.faults.cases import CASES
from benchmarks.faults.gates import GATES
from benchmarks.faults.processes import ROOT, environment
from benchmarks.faults.report import report
from benchmarks.faults.row import Row
from harness.paths import write_text

PROCESSES = 2
FUZZ = "fuzz"
COUNTED = ROOT / "build" / "faults.json"


@dataclass
class Counts:
    """What was counted so far: rows by their names, and the calls that counted them. Kept in a file between calls."""

    path: Path
    calls: list[str] = field(default_factory=list)
    rows: dict[str, Row] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Counts:
        """Return what `write` wrote, or nothing counted."""
        if not path.exists():
            return cls(path)
        document = json.loads(path.read_text(encoding="utf-8"))
        rows = {name: Row(**row | {"seen": Counter(row["seen"])}) for name, row in document["rows"].items()}
        return cls(path, document["calls"], rows)

    def add(self, row: Row) -> None:
        """Add to a row, and keep that."""
        if row.what in self.rows:
            self.rows[row.what].add(row)
        else:
            self.rows[row.what] = row
        document = {"calls": self.calls, "rows": {name: vars(row) for name, row in self.rows.items()}}
        write_text(self.path, json.dumps(document, indent=1) + "\n")


def campaign(minutes: float, seed: int, only: str, counts: Counts) -> None:
    """Run every kind of case, or those whose names hold `only`, for its share of the time."""
    kinds = [what for what in CASES if only in what]
    gates = [gate for gate in GATES if only in f"{FUZZ} {gate}"]
    share = 60 * minutes / (bool(kinds) + bool(gates) or 1)
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(PROCESSES) as pool:
        if kinds:
            command = [sys.executable, "-c", _TINY, name]
            subprocess.run(command, cwd=ROOT, env=environment(), check=True, stdout=subprocess.DEVNULL)
            seconds = PROCESSES * share / len(kinds)
            for row in pool.map(lambda what: _row(what, seed, seconds, Path(name)), kinds):
                _tell(row)
                counts.add(row)
    if gates:
        for row in fuzzing.campaign(gates, seed, share, PROCESSES, counts.add):
            _tell(row)


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
    parser.add_argument("--seed", type=int, default=0, help="another one tries other cases")
    parser.add_argument("--only", default="", help=f"kinds whose names hold this; '{FUZZ}' for all fuzzed inputs")
    parser.add_argument("--add", action="store_true", help="to what earlier calls counted, not in its place")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "reliability.md")
    options = parser.parse_args(arguments)
    counts = Counts.read(COUNTED)
    if not options.add:
        replaced = {what for what in (*CASES, *GATES) if options.only in (what if what in CASES else f"{FUZZ} {what}")}
        counts.rows = {what: row for what, row in counts.rows.items() if what not in replaced}
        counts.calls = counts.calls if options.only else []
    counts.calls.append(shlex.join(arguments))
    campaign(options.minutes, options.seed, options.only, counts)
    rows, fuzzed = ([counts.rows[what] for what in names if what in counts.rows] for names in (CASES, GATES))
    write_text(options.output, report(rows, fuzzed, counts.calls))
    failed = sum(row.tried - row.survived for row in (*rows, *fuzzed))
    print(f"wrote {options.output}; {failed} failures")
    sys.exit(failed > 0)
