"""Seconds, memory, and the figures of one benchmark."""

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import psutil

T = TypeVar("T")

SAMPLE_SECONDS = 0.002


@dataclass(frozen=True)
class Timing:
    """The fastest of several runs (other work on the machine only ever adds time) and the highest extra memory of
    any.
    """

    seconds: float
    extra_gib: float


@dataclass(frozen=True)
class Outcome:
    """One line of a benchmark. `limit` is the bare matrix product (or whatever bounds the work), in the same run."""

    benchmark: str
    size: str
    ours_s: float
    extra_gib: float
    reference: str = ""
    reference_s: float | None = None
    reference_extra_gib: float | None = None
    limit_s: float | None = None
    agreement: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times faster than the reference."""
        return self.reference_s / self.ours_s if self.reference_s else None

    @property
    def over_limit(self) -> float | None:
        """Our time as a multiple of the limit."""
        return self.ours_s / self.limit_s if self.limit_s else None

    def as_dict(self) -> dict[str, Any]:
        """Return all figures, for JSON."""
        return asdict(self) | {"ratio": self.ratio, "over_limit": self.over_limit}

    def __str__(self) -> str:
        parts = [f"{self.benchmark:<24} {self.size:<16} {self.ours_s:8.3f} s  +{self.extra_gib:.3f} GiB"]
        if self.limit_s is not None:
            parts.append(f"{self.over_limit:.2f} x the product ({self.limit_s:.3f} s)")
        if self.reference_s is not None:
            parts.append(f"{self.ratio:.1f} x faster than {self.reference} ({self.reference_s:.2f} s")
            parts[-1] += f", +{self.reference_extra_gib:.3f} GiB)"
        return "  ".join([*parts, self.agreement]).rstrip()


def measured(work: Callable[[], T], repeats: int = 1) -> tuple[T, Timing]:
    """Run `work` `repeats` times; return the last result, the shortest time and the most extra memory."""
    fastest, most = float("inf"), 0.0
    for _ in range(repeats):
        result, seconds, extra = _once(work)
        fastest, most = min(fastest, seconds), max(most, extra)
    return result, Timing(fastest, most)


def _once(work: Callable[[], T]) -> tuple[T, float, float]:
    process = psutil.Process()
    before = peak = process.memory_info().rss
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(SAMPLE_SECONDS):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    try:
        result = work()
    finally:
        seconds = time.perf_counter() - start
        done.set()
        watcher.join()
    peak = max(peak, process.memory_info().rss)
    return result, seconds, (peak - before) / 2**30
