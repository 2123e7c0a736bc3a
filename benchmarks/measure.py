"""Measurement of time and memory, and the outcome of a benchmark."""

import ctypes
import gc
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

NOW, PEAK = "VmRSS", "VmHWM"
FORGET_PEAK = "5"
GLANCE_SECONDS = 0.002


@dataclass(frozen=True)
class Timing:
    """The fastest of several runs (other work on the machine only ever adds time) and the highest extra memory of
    any.
    """

    seconds: float
    extra_gib: float


@dataclass(frozen=True)
class Outcome:
    """One line of a benchmark. `limit` is what bounds the work (such as the bare matrix product), in the same run."""

    benchmark: str
    size: str
    ours_s: float
    extra_gib: float
    reference: str = ""
    reference_s: float | None = None
    reference_extra_gib: float | None = None
    limit_s: float | None = None
    agreement: str = ""
    limit: str = "the limit"

    @property
    def ratio(self) -> float | None:
        """Speed-up over the reference."""
        return self.reference_s / self.ours_s if self.reference_s else None

    @property
    def over_limit(self) -> float | None:
        """Time as a multiple of the limit."""
        return self.ours_s / self.limit_s if self.limit_s else None

    def as_dict(self) -> dict[str, Any]:
        """Return all figures, for JSON."""
        return asdict(self) | {"ratio": self.ratio, "over_limit": self.over_limit}

    def __str__(self) -> str:
        parts = [f"{self.benchmark:<24} {self.size:<16} {self.ours_s:8.3f} s  +{self.extra_gib:.3f} GiB"]
        if self.limit_s is not None:
            parts.append(f"{self.over_limit:.2f} x {self.limit} ({self.limit_s:.3f} s)")
        if self.reference_s is not None:
            parts.append(f"{self.ratio:.1f} x faster than {self.reference} ({self.reference_s:.2f} s")
            parts[-1] += ")" if self.reference_extra_gib is None else f", +{self.reference_extra_gib:.3f} GiB)"
        return "  ".join([*parts, self.agreement]).rstrip()


def measured(work: Callable[[], T], repeats: int = 1) -> tuple[T, Timing]:
    """Run `work` `repeats` times; return the last result, the shortest time and the most extra memory."""
    fastest, most = float("inf"), 0.0
    for _ in range(repeats):
        result, seconds, extra = _once(work)
        fastest, most = min(fastest, seconds), max(most, extra)
    return result, Timing(fastest, most)


def command(arguments: Sequence[str], folder: Path, repeats: int = 1) -> tuple[str, Timing]:
    """Run a command in `folder`; return its last output, the shortest time and the peak memory of its process.

    Raises RuntimeError if it fails.
    """
    fastest, most = float("inf"), 0.0
    for _ in range(repeats):
        start = time.perf_counter()
        with tempfile.TemporaryFile("w+") as output:
            with subprocess.Popen(arguments, cwd=folder, stdout=output, stderr=subprocess.STDOUT) as process:
                while process.poll() is None:
                    most = max(most, _gib(PEAK, process.pid))
                    time.sleep(GLANCE_SECONDS)
            fastest = min(fastest, time.perf_counter() - start)
            output.seek(0)
            said = output.read()
        if process.returncode:
            raise RuntimeError(f"{' '.join(arguments)} failed: {said}")
    return said, Timing(fastest, most)


def _once(work: Callable[[], T]) -> tuple[T, float, float]:
    """Measure peak memory from the kernel's counter, after returning freed memory; nothing samples beside the work."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text(FORGET_PEAK)
    before = _gib(NOW, os.getpid())
    start = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - start
    return result, seconds, _gib(PEAK, os.getpid()) - before


def _gib(field: str, process: int) -> float:
    """Return a line of a process's status in bytes (Linux states KiB); 0 if the process has just ended."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next((int(line.split()[1]) / 2**20 for line in lines if line.startswith(field)), 0.0)
