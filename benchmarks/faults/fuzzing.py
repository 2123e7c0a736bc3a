"""Fuzzed inputs by the thousand, in processes that a hang or a crash of one input cannot take along."""

from __future__ import annotations

import multiprocessing
import os
import random
import resource
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing.connection import wait
from pathlib import Path

import psutil

from benchmarks.faults.gates import GATES, survives
from benchmarks.faults.mutations import mutated
from benchmarks.faults.row import Row
from harness.start import SIGNALS

CPU_SECONDS, MEMORY_MIB = 5.0, 1024
"""That one input may take."""
ADDRESSES = 8 * 2**30
"""Bytes of addresses that a process may take beyond what it has, so that a bomb takes it and not the machine."""
WALL_SECONDS = 60.0
"""Without any progress, after which an input counts as a hang: it waits for something that never comes."""
PORTION_SECONDS = 10.0
"""For which one process fuzzes one gate: short beside the campaign, long beside a fork."""
SHOWN = 20
"""Failures of a portion that are told; all are counted, and a pipe holds no more than some."""
MEMORY = Path("/dev/shm")
"""Where inputs are written: a disk's journal takes milliseconds for each of them, many times what a gate takes."""


def case(gate: str, number: int, seed: int, seeds: list[bytes]) -> bytes:
    """Return input `number` of a gate: the same one for the same seed, in whatever process."""
    return mutated(seeds[number % len(seeds)], random.Random(f"{seed} {gate} {number}"))


def fuzz(gate: str, seed: int, first: int, seconds: float, folder: Path, progress: Path) -> Row:
    """Try inputs from number `first` on for so many seconds, in this process; `progress` holds the one at work.

    The row's seconds are those of the processor.
    """
    row, seeds = Row(gate), GATES[gate][0]()
    survives(gate, seeds[0], folder)  # what is imported at first use is not the input's
    baseline, begun, processor = _peak_mib(), time.monotonic(), time.process_time()
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
    row.seconds = time.process_time() - processor
    return row


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def campaign(gates: Sequence[str], seed: int, seconds: float, processes: int, counted: Callable[[Row], None]) -> None:
    """Fuzz these gates for `seconds`, in several processes at once: the one that has had the least time is the next.

    `counted` is told of each portion when it is done.
    """
    for gate in gates:
        GATES[gate][0]()  # imports once what each process would import
    rows = {gate: Row(gate) for gate in gates}
    portion = min(PORTION_SECONDS, seconds / len(gates))
    running: dict[str, Portion] = {}
    begun = time.monotonic()
    try:
        while True:
            free = sorted(set(gates) - set(running), key=lambda gate: (rows[gate].seconds, gate))
            for gate in free[: processes - len(running)]:
                if time.monotonic() - begun < seconds:
                    running[gate] = Portion(gate, seed, rows[gate].tried, portion)
            if not running:
                return
            wait([at_work.process.sentinel for at_work in running.values()])
            for gate in [gate for gate, at_work in running.items() if not at_work.process.is_alive()]:
                row = running.pop(gate).row()
                rows[gate].add(row)
                counted(row)
    finally:
        for at_work in running.values():
            at_work.stop()


class Portion:
    """A process that fuzzes one gate for some seconds, from input number `first` on."""

    def __init__(self, gate: str, seed: int, first: int, seconds: float) -> None:
        self.gate, self.seed, self.first, self.seconds = gate, seed, first, seconds
        self.folder = tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else None)
        self.progress = Path(self.folder.name) / "progress"
        fork = multiprocessing.get_context("fork")
        self.answer, sender = fork.Pipe(duplex=False)
        self.process = fork.Process(target=self._work, args=(sender,), daemon=True)
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # what is raised within a fork is lost
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        sender.close()

    def _work(self, sender: multiprocessing.connection.Connection) -> None:
        for number in SIGNALS:  # the campaign's to answer
            signal.signal(number, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, 10 * WALL_SECONDS)  # until the first input, which has its own
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what libraries say of damaged files
        most = psutil.Process().memory_info().vms + ADDRESSES
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        place = Path(self.folder.name) / "at work"
        place.mkdir()
        row = fuzz(self.gate, self.seed, self.first, self.seconds, place, self.progress)
        sender.send(replace(row, failures=row.failures[:SHOWN]))

    def row(self) -> Row:
        """Return what it counted, to the input that ended the process if one did."""
        self.process.join()
        code = self.process.exitcode
        if code == 0:
            row: Row = self.answer.recv()
        else:
            ended = int(self.progress.read_text()) if self.progress.exists() else self.first
            tried = ended - self.first + 1
            row = Row(self.gate, tried=tried, survived=tried - 1, seconds=self.seconds)
            why = {-signal.SIGPROF: f"more than {CPU_SECONDS:g} s of processor time", -signal.SIGALRM: "hangs"}
            how = why.get(code or 0, f"ended the process ({code})")
            row.failures.append(f"input {ended} of seed {self.seed}: {how}")
        self.stop()
        return row

    def stop(self) -> None:
        """End it, if it has not ended, and leave nothing behind."""
        self.process.kill()
        self.process.join()
        self.answer.close()
        self.folder.cleanup()
