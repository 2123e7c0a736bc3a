"""An unfinished run on disk: its state after the last epoch, and what it has cost so far over all its attempts."""

from __future__ import annotations

import dataclasses
import json
import resource
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.learning.state import CheckpointWriter, RunState, read_tensors


@dataclass
class Progress:
    """What a run has done so far, over all its attempts: one history row per epoch, notes, times and counts."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat())
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    training_seconds: float = 0.0
    images: int = 0
    resumed: int = 0

    def __post_init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), _cpu_seconds()

    def measure(self) -> None:
        """Add the time since the last call to `seconds` and `cpu_seconds`."""
        wall, cpu = time.perf_counter(), _cpu_seconds()
        self.seconds += wall - self._wall
        self.cpu_seconds += cpu - self._cpu
        self._wall, self._cpu = wall, cpu


def save(writer: CheckpointWriter, path: Path, state: RunState, progress: Progress, identity: str) -> None:
    """Write the unfinished run atomically. Raises DiskError if that, or the save before, fails."""
    progress.measure()
    writer.save(state, path, {"identity": identity, "progress": json.dumps(dataclasses.asdict(progress))})


def restore(path: Path, state: RunState, progress: Progress, identity: str) -> bool:
    """Load the unfinished run into `state` and `progress`; False, and nothing done, if it was not of this `identity`.

    Raises UserError if the file is damaged.
    """
    _, metadata = read_tensors(path)
    if metadata.get("identity") != identity:
        return False
    state.load(path)
    earlier = json.loads(metadata["progress"])
    progress.rows.extend(earlier["rows"])
    progress.notes.extend(earlier["notes"])
    progress.started = earlier["started"]
    for name in ("seconds", "cpu_seconds", "training_seconds", "images", "resumed"):
        setattr(progress, name, getattr(progress, name) + earlier[name])
    progress.resumed += 1
    return True


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
