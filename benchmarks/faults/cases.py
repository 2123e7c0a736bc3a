"""Every kind of injected fault, and one of them run in this process: `python -m benchmarks.faults.cases NAME …`."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from benchmarks.faults import damage, pages, signalled, together, training
from benchmarks.faults.processes import end_all, preload
from benchmarks.faults.row import Cases, Row

CASES: dict[str, Cases] = {
    "training killed at a random moment, once or twice": training.killed,
    "training and evaluation killed at a file operation": training.killed_at_operations,
    "training interrupted by a signal": training.stopped,
    "one run trained by two processes at once": training.twice_at_once,
    "one thread or two": training.threads,
    "drawing or preparing killed": training.killed_preparing,
    "a full disk in training": training.no_room,
    "a full disk in preparing": training.no_room_for_data,
    "one bit of a trained run or its data, then evaluation": damage.bits,
    "one bit of an unfinished run": damage.unfinished_bits,
    "a file of a run altered, removed or replaced, then ingestion": damage.results,
    "published.json altered, then ingestion": damage.published,
    "the database altered or replaced, then ingestion": damage.database,
    "a corrupt file in DVC's cache, checked out": damage.cache,
    "a project's file replaced, then a command": damage.files_of_the_project,
    "a generated pipeline broken by hand": damage.pipelines,
    "a page over damaged files": pages.damaged,
    "ingestion killed": together.killed,
    "eight ingestions and three readers at once": together.at_once,
    "a full disk under the database": together.no_room,
    "a project that may not be written to": together.read_only,
    "SIGINT, SIGTERM or SIGHUP in a command": signalled.commands,
    "a pipeline killed or interrupted, then repeated": signalled.pipelines,
}


def run(what: str, seed: int, seconds: float, folder: Path) -> Row:
    """Try cases of one kind for so many seconds, at least one; fewer if it is interrupted."""
    row = Row(what)
    begun = 0.0
    with suppress(KeyboardInterrupt):
        preload()
        for failure, seen in CASES[what](random.Random(f"{seed} {what}"), folder):
            begun = begun or time.monotonic()  # what the first one needed besides is no case
            row.count(failure, seen)
            if time.monotonic() - begun > seconds:
                break
    end_all()
    row.seconds = time.monotonic() - begun if begun else 0.0
    return row


def _main() -> None:
    what, seed, seconds, folder = sys.argv[1:]
    out = os.dup(1)
    os.dup2(2, 1)  # what commands say is not the answer
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    place = Path(folder) / f"row{list(CASES).index(what)}"
    place.mkdir()
    row = run(what, int(seed), float(seconds), place)
    counted = {"tried": row.tried, "survived": row.survived, "seconds": row.seconds, "seen": dict(row.seen)}
    os.write(out, json.dumps(counted | {"failures": row.failures[:20]}).encode())
    os._exit(0)


if __name__ == "__main__":
    _main()
