"""What a fleet was at when the head last looked, in `results/fleet.json`: read without DVC, Ray or the network."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UserError
from harness.fleet.documents import SILENT, Board, Fleet, Work, now
from harness.inputs.files import read_bytes
from harness.inputs.json import parse_document
from harness.paths import fleet_file, write_text
from harness.specs.base import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterable


class Snapshot(Frozen):
    """A fleet's heads, and its work as the machines last said."""

    fleet: str
    written: datetime
    heads: tuple[Fleet, ...]
    work: tuple[Work, ...]

    @property
    def items(self) -> tuple[str, ...]:
        """All that is given out, in the order in which it is."""
        return tuple(dict.fromkeys(name for head in self.heads for name in head.items))


def write_snapshot(root: Path, board: Board) -> Snapshot:
    """Ask the remote what the fleet is at, and keep the answer. Raises UserError."""
    before = read_snapshot(root)
    known = before.work if before and before.fleet == board.fleet else ()
    work = tuple(board.all_work(known))
    snapshot = Snapshot(fleet=board.fleet, written=now(), heads=tuple(board.fleets()), work=work)
    write_text(fleet_file(root), snapshot.model_dump_json(indent=1) + "\n")
    return snapshot


def read_snapshot(root: Path) -> Snapshot | None:
    """Return what the fleet was at when the head last looked; None if there was none."""
    path = fleet_file(root)
    try:
        return parse_document(read_bytes(path), path, Snapshot)
    except UserError:
        return None


def silent_for(work: Work, at: datetime) -> float:
    """Return the seconds since a worker's last word, `at` a moment of the remote's clock."""
    return (at - (work.updated - timedelta(seconds=work.ahead))).total_seconds()


def is_silent(work: Work, at: datetime) -> bool:
    """Whether a worker that says it is running seems to be gone. It is shown; nothing is decided by it."""
    return work.status == "running" and silent_for(work, at) > 2 * SILENT * work.every


def left(snapshot: Snapshot) -> float | None:
    """Return about how many seconds the rest will take: the mean of finished work, by as many as are running now."""
    finished = [work.seconds for work in snapshot.work if work.status == "finished" and work.item in snapshot.items]
    running = [work for work in snapshot.work if work.status == "running" and not is_silent(work, snapshot.written)]
    if not finished or not running:
        return None
    mean = sum(finished) / len(finished)
    known = {work.item for work in snapshot.work if work.status in ("finished", "failed")}
    waiting = len(set(snapshot.items) - known - {work.item for work in running})
    rest = sum(max(work.left if work.left is not None else mean - work.seconds, 0.0) for work in running)
    return (rest + waiting * mean) / len(running)


def counts(snapshot: Snapshot) -> Counter[str]:
    """Return how many items are finished, running, silent, failed, interrupted or waiting."""
    said = {work.item: "silent" if is_silent(work, snapshot.written) else work.status for work in snapshot.work}
    return Counter(said.get(item, "waiting") for item in snapshot.items)


def table(snapshot: Snapshot) -> Iterable[tuple[str, ...]]:
    """Yield what runs where and how far, one row each: item, machine, state, progress, time left."""
    order = {"running": 0, "failed": 1, "interrupted": 2, "finished": 3}
    for work in sorted(snapshot.work, key=lambda work: (order[work.status], work.item)):
        state = (
            f"silent for {silent_for(work, snapshot.written):.0f} s"
            if is_silent(work, snapshot.written)
            else work.status
        )
        far = f"{work.stage} {work.epoch}/{work.epochs}".strip() if work.epochs else work.stage
        rest = duration(work.left) if work.status == "running" and work.left is not None else ""
        yield work.item, work.host, state, far if work.status == "running" else work.message, rest


def duration(seconds: float) -> str:
    """Return a length of time as a reader wants it."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
