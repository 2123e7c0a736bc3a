"""Faults, injected and counted: `python -m benchmarks faults [--minutes N] [--seed S]` writes docs/reliability.md.

A case survives if the user gets the promised result, or one line that says what is wrong and what to do, and the next
call goes on. A traceback, a hang (5 s of processor time for one input), more than 1 GB for one input, a file left
behind, a process left behind or another figure is a failure. Half of the time goes to injected faults, half to fuzzed
inputs; two processes work at once. Interrupted, it writes what was counted until then, and `--add` goes on from there.
"""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from benchmarks.faults import fuzzing, injecting
from benchmarks.faults.cases import CASES
from benchmarks.faults.gates import GATES
from benchmarks.faults.processes import ROOT
from benchmarks.faults.report import report
from benchmarks.faults.row import Row
from harness.paths import write_text
from harness.start import INTERRUPTED

PROCESSES = 2
TELL_SECONDS = 20.0
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

    def ours(self, names: Iterable[str]) -> list[Row]:
        """Return the rows of these names, as far as they were counted."""
        return [self.rows[name] for name in names if name in self.rows]


def campaign(minutes: float, seed: int, only: str, counts: Counts) -> None:
    """Run every kind of case, or those whose names hold `only`, for its share of the time."""
    kinds = [what for what in CASES if only in what]
    gates = [gate for gate in GATES if only in f"{FUZZ} {gate}"]
    share = 60 * minutes / (bool(kinds) + bool(gates) or 1)
    told = time.monotonic()

    def injected(row: Row) -> None:
        counts.add(row)
        _tell(row.what, [row])

    def fuzzed(row: Row) -> None:
        nonlocal told
        counts.add(row)
        if row.failures or time.monotonic() - told > TELL_SECONDS:
            told = time.monotonic()
            _tell("fuzzed inputs", counts.ours(gates))

    if kinds:
        injecting.campaign(kinds, seed, PROCESSES * share / len(kinds), PROCESSES, injected)
    if gates:
        fuzzing.campaign(gates, seed, share, PROCESSES, fuzzed)
        _tell("fuzzed inputs", counts.ours(gates))


def _tell(what: str, rows: Sequence[Row]) -> None:
    survived, tried = sum(row.survived for row in rows), sum(row.tried for row in rows)
    failures = [failure for row in rows for failure in row.failures[:5]]
    print(f"{what}: {survived:,} of {tried:,} survived", *failures, sep="\n  ", flush=True)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(arguments: list[str]) -> None:
    """Run the campaign and write its report; exit 1 if anything failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks faults", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, help="of the cases; if none is given, one that no counted call has had")
    parser.add_argument("--only", default="", help=f"kinds whose names hold this; '{FUZZ}' for all fuzzed inputs")
    parser.add_argument("--add", action="store_true", help="to what earlier calls counted, not in its place")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "reliability.md")
    options = parser.parse_args(arguments)
    counts = Counts.read(COUNTED)
    if not options.add:
        replaced = {what for what in (*CASES, *GATES) if options.only in (what if what in CASES else f"{FUZZ} {what}")}
        counts.rows = {what: row for what, row in counts.rows.items() if what not in replaced}
        counts.calls = counts.calls if options.only else []
    seed = len(counts.calls) if options.seed is None else options.seed
    only = ["--only", options.only] if options.only else []
    counts.calls.append(shlex.join(["--minutes", f"{options.minutes:g}", "--seed", str(seed), *only]))
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    interrupted = False
    try:
        campaign(options.minutes, seed, options.only, counts)
    except KeyboardInterrupt:
        interrupted = True
    write_text(options.output, report(counts.ours(CASES), counts.ours(GATES), counts.calls))
    failed = sum(row.tried - row.survived for row in counts.ours((*CASES, *GATES)))
    print(f"wrote {options.output}; {failed} failures{'; interrupted: --add goes on' if interrupted else ''}")
    sys.exit(INTERRUPTED if interrupted else failed > 0)
