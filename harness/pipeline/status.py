"""What became of a run: the one answer that lists, database and pages give."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.errors import UserError
from harness.paths import run_folder
from harness.pipeline.attempts import attempts, read_attempt
from harness.pipeline.processes import alive
from harness.pipeline.records import Attempt
from harness.pipeline.trained import read_label_free, read_scores

State = Literal["queued", "running", "interrupted", "failed", "trained", "finished"]


@dataclass(frozen=True)
class Status:
    """A run's state, and why or how far; `attempt`: the newest attempt that says so, if there is one."""

    state: State
    reason: str
    attempt: Attempt | None = None


def run_status(root: Path, key: str) -> Status:
    """Return what became of a run, from the files under `results/`; an attempt that cannot be read counts as none."""
    folder = run_folder(root, key)
    last = None
    for path in reversed(attempts(root, key)):
        try:
            last = read_attempt(path)
            break
        except UserError:
            continue
    return status(last, (folder / "record.json").exists(), bool(read_scores(folder) or read_label_free(folder)))


def status(attempt: Attempt | None, trained: bool, scored: bool) -> Status:
    """Return what became of a run whose newest attempt is `attempt`, and which has a record or scores, or neither.

    A result stands, whatever was tried after it: DVC removes it before it trains anew. No clock decides anything.
    """
    if attempt is not None and attempt.status == "running" and alive(attempt.process):
        far = f", epoch {attempt.epoch} of {attempt.epochs}" if attempt.epochs else ""
        return Status("running", f"{attempt.stage}{far}", attempt)
    if trained and scored:
        return Status("finished", "", attempt)
    if attempt is not None and attempt.status != "finished":
        return _unfinished(attempt)
    if trained:
        return Status("trained", "not evaluated yet", attempt)
    return Status("queued", "its result is gone" if attempt else "planned, not started", attempt)


def _unfinished(attempt: Attempt) -> Status:
    if attempt.status == "failed":
        said = attempt.message.splitlines()
        return Status("failed", attempt.reason + (f": {said[0]}" if said else ""), attempt)
    where = f" in epoch {attempt.epoch + 1} of {attempt.epochs}" if attempt.epochs else ""
    how = "stopped" if attempt.status == "interrupted" else "killed"
    return Status("interrupted", f"{attempt.stage} was {how}{where}; run it again to resume", attempt)
