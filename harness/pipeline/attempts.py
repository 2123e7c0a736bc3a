"""A record of every attempt at a run, successful or not, with live progress while it runs."""

from __future__ import annotations

import errno
import os
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from harness.errors import DiskError, UserError
from harness.paths import attempts_folder, write_text
from harness.pipeline.records import Attempt

TAIL_LINES = 30
ABANDONED = 60
"""Seconds after which a half-written document is nobody's: it is written in milliseconds."""


class AttemptLog:
    """One attempt at a stage of a run; `progress` keeps its document up to date."""

    def __init__(self, root: Path, attempt: Attempt) -> None:
        stamp = attempt.started.strftime("%Y%m%dT%H%M%S%fZ")
        self._path = attempts_folder(root, attempt.key) / f"{stamp}-{attempt.stage}.json"
        self._begun = time.perf_counter()
        self.attempt = attempt
        self._write()
        for partial in self._path.parent.glob("*.partial"):  # of an attempt that was killed while it wrote
            with suppress(OSError):
                if time.time() - partial.stat().st_mtime > ABANDONED:
                    partial.unlink()

    def progress(self, epoch: int) -> None:
        """Say how far the attempt is."""
        self._update(epoch=epoch)

    def close(self, status: Literal["finished", "failed", "interrupted"], reason: str, message: str, tail: str) -> None:
        """Say how the attempt ended."""
        self._update(status=status, reason=reason, message=message, log_tail=tail)

    def _update(self, **changes: object) -> None:
        now = {"updated": datetime.now(UTC), "seconds": time.perf_counter() - self._begun}
        self.attempt = self.attempt.model_copy(update=now | changes)
        self._write()

    def _write(self) -> None:
        write_text(self._path, self.attempt.model_dump_json(indent=2) + "\n")


@contextmanager
def attempt(
    root: Path, key: str, stage: Literal["train", "evaluate"], spec_hash: str, device: str, epochs: int
) -> Iterator[AttemptLog]:
    """Record the block as an attempt: finished, failed (with its exit class) or interrupted. Errors pass through."""
    now = datetime.now(UTC)
    log = AttemptLog(
        root,
        Attempt(
            key=key, stage=stage, spec_hash=spec_hash, status="running", device=device, started=now, updated=now,
            seconds=0, epochs=epochs, pid=os.getpid(),
        ),
    )  # fmt: skip
    try:
        yield log
    except KeyboardInterrupt:
        log.close("interrupted", "interrupted", "stopped by the user; run it again to resume", "")
        raise
    except BaseException as error:
        tail = "\n".join(traceback.format_exc().splitlines()[-TAIL_LINES:])
        with suppress(UserError):  # a full or read-only disk: the error itself is what the user must see
            log.close("failed", exit_class(error), str(error), "" if isinstance(error, UserError) else tail)
        raise
    log.close("finished", "", "", "")


def exit_class(error: BaseException) -> str:
    """Return the kind of a failure: out-of-memory, nan, no-clusters, disk, bad-input or error."""
    if isinstance(error, UserError):
        return error.reason
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
        return DiskError.reason
    if (
        isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    ):  # torch's, which is not imported here
        return "out-of-memory"
    return "error"
