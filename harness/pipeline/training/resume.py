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

from harness.errors import UserError
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
    """Write the unfinished run atomically, and keep the state before it.

    Raises DiskError if that, or the save before, fails.
    """
    progress.measure()
    writer.finish()
    if path.exists():
        path.replace(_before(path))
    writer.save(state, path, {"identity": identity, "progress": json.dumps(dataclasses.asdict(progress))})


def restore(path: Path, state: RunState, progress: Progress, identity: str) -> str:
    """Load the newest undamaged state of the unfinished run into `state` and `progress`; return what to say of it.

    Nothing is loaded, and the run starts afresh, if none is there, or none of this `identity`. Raises UserError if all
    that are there are damaged: hours of work are not thrown away unasked.
    """
    said: list[str] = []
    damaged = None
    for candidate in (path, _before(path)):
        if not candidate.exists():
            continue
        try:
            _, metadata = read_tensors(candidate)
            if metadata.get("identity") != identity:
                said.append("an unfinished run is there, but its spec, data or code differs: starting afresh")
                break
            state.load(candidate)
        except UserError as error:
            damaged = damaged or error
            continue
        if damaged:
            said.append(f"{str(damaged).split(';')[0]}: going on from the state before it")
        _add(progress, json.loads(metadata["progress"]))
        said.append(f"resumed after epoch {state.epoch}")
        break
    if damaged and not said:
        raise damaged
    return "; ".join(said)


def forget(path: Path) -> None:
    """Delete the unfinished run."""
    for candidate in (path, _before(path)):
        candidate.unlink(missing_ok=True)


def _before(path: Path) -> Path:
    return path.with_name(f"{path.stem}.before{path.suffix}")


def _add(progress: Progress, earlier: dict[str, Any]) -> None:
    progress.rows.extend(earlier["rows"])
    progress.notes.extend(earlier["notes"])
    progress.started = earlier["started"]
    for name in ("seconds", "cpu_seconds", "training_seconds", "images", "resumed"):
        setattr(progress, name, getattr(progress, name) + earlier[name])
    progress.resumed += 1


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
