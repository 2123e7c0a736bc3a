"""Fuzzed inputs by the thousand, in processes that a hang or a crash of one input cannot take along."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from benchmarks.faults.row import Row

ROOT = Path(__file__).parents[2]
CPU_SECONDS, MEMORY_MIB = 5.0, 1024
"""That one input may take."""
WALL_SECONDS = 60.0
"""Without any progress, after which an input counts as a hang: it waits for something that never comes."""
PORTION_SECONDS = 30.0
"""For which one process fuzzes one gate: short beside the campaign, long beside a start."""


def case(gate: str, number: int, seed: int, seeds: list[bytes]) -> bytes:
    """Return input `number` of a gate: the same one for the same seed, in whatever process."""
    from benchmarks.faults.mutations import mutated

    source = random.Random(f"{seed} {gate} {number}")
    return mutated(seeds[number % len(seeds)], source)


def fuzz(gate: str, seed: int, first: int, seconds: float, folder: Path, progress: Path) -> Row:
    """Try inputs from number `first` on for so many seconds, in this process; `progress` holds the one at work."""
    from benchmarks.faults.gates import GATES, survives

    row, seeds = Row(gate), GATES[gate][0]()
    survives(gate, seeds[0], folder)  # what is imported at first use is not the input's
    baseline, begun = _peak_mib(), time.monotonic()
    note = os.open(progress, os.O_WRONLY | os.O_CREAT)
    while time.monotonic() - begun < seconds:
        number = first + row.tried
        data = case(gate, number, seed, seeds)
        os.pwrite(note, b"%20d" % number, 0)
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)  # their default actions end the process, also within C
        signal.setitimer(signal.ITIMER_REAL, WALL_SECONDS)
        fault = survives(gate, data, folder)
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        if (peak := _peak_mib()) - baseline > MEMORY_MIB:
            fault, baseline = f"{peak - baseline:.0f} MiB", peak
        row.count(None if fault is None else f"input {number} of seed {seed}: {fault}: {data[:80]!r}")
    row.seconds = time.monotonic() - begun
    return row


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def campaign(
    gates: Sequence[str], seed: int, seconds: float, processes: int, counted: Callable[[Row], None]
) -> list[Row]:
    """Fuzz these gates for `seconds`, in several processes at once: the one that has had the least time is the next.

    `counted` is told of each portion when it is done.
    """
    rows = {gate: Row(gate) for gate in gates}
    begun = time.monotonic()
    with ThreadPoolExecutor(processes) as pool:
        running: dict[Future[Row], str] = {}
        while True:
            free = sorted(set(gates) - set(running.values()), key=lambda gate: (rows[gate].seconds, gate))
            for gate in free[: processes - len(running)]:
                if time.monotonic() - begun < seconds:
                    portion = min(PORTION_SECONDS, seconds / len(gates))
                    running[pool.submit(_portion, gate, seed, rows[gate].tried, portion)] = gate
            if not running:
                return list(rows.values())
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                rows[running.pop(done)].add(done.result())
                counted(done.result())


def _portion(gate: str, seed: int, first: int, seconds: float) -> Row:
    """Fuzz in a process of its own, from input number `first` on, to the one that ends the process if one does."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        progress = Path(folder) / "progress"
        command = [sys.executable, "-m", "benchmarks.faults.fuzzing", gate, str(seed), str(first), str(seconds)]
        done = subprocess.run(
            [*command, folder], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
        )
        if done.returncode == 0:
            return Row(gate, **json.loads(done.stdout))
        ended = int(progress.read_text()) if progress.exists() else first
    row = Row(gate, tried=ended - first + 1, survived=ended - first, seconds=time.monotonic() - begun)
    why = {-signal.SIGPROF: f"more than {CPU_SECONDS:g} s of processor time", -signal.SIGALRM: "hangs"}
    how = why.get(done.returncode, f"ended the process ({done.returncode})")
    row.failures.append(f"input {ended} of seed {seed}: {how}")
    return row


def _main() -> None:
    gate, seed, first, seconds, folder = sys.argv[1:]
    limit = 8 * 2**30  # of addresses, so that a bomb takes this process and not the machine
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    place = Path(folder) / "at work"
    place.mkdir()
    row = fuzz(gate, int(seed), int(first), float(seconds), place, Path(folder) / "progress")
    counted = {"tried": row.tried, "survived": row.survived, "seconds": row.seconds, "failures": row.failures[:20]}
    os.write(1, json.dumps(counted).encode())


if __name__ == "__main__":
    _main()
