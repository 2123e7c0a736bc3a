"""A record of every attempt at a run, successful or not, with live progress while it runs."""

from __future__ import annotations

import errno
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from harness.errors import DiskError, UserError
from harness.inputs.files import read_bytes
from harness.inputs.json import parse_document
from harness.inputs.limits import TEXT_BYTES
from harness.paths import attempts_folder, write_text
from harness.pipeline.processes import this_process
from harness.pipeline.records import Attempt

TAIL_LINES = 30
ABANDONED = 60
"""Seconds after which a half-written document is nobody's: it is written in milliseconds."""


class AttemptLog:
    """One attempt at a stage of a run; `progress` keeps its document up to date."""

    def __init__(self, root: Path, attempt: Attempt) -> None:
        self.attempt, self._begun = attempt, time.perf_counter()
        self._path = _next_path(root, attempt)
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


def _next_path(root: Path, attempt: Attempt) -> Path:
    """Take the next free number; the file is there from then on, so that nobody else takes it."""
    number = max((_number(path) or 0 for path in attempts(root, attempt.key)), default=0)
    while True:
        number += 1
        path = attempts_folder(root, attempt.key) / f"{number:04}-{attempt.stage}.json"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.open("x").close()
        except FileExistsError:
            continue
        except OSError as error:
            raise DiskError(
                f"{path}: cannot be written: {error.strerror or error}; free space or mend permissions"
            ) from error
        return path


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
            seconds=0, epochs=epochs, process=this_process(),
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


def attempts(root: Path, key: str) -> list[Path]:
    """Return the documents of all attempts at a run, in the order in which they began: their names are numbered."""
    found = [path for path in attempts_folder(root, key).glob("*.json") if _number(path) is not None]
    return sorted(found, key=lambda path: (_number(path), path.name))


def read_attempt(path: Path) -> Attempt:
    """Read one attempt's document. Raises UserError."""
    attempt: Attempt = parse_document(read_bytes(path, TEXT_BYTES), path, Attempt)
    if attempt.key != path.parent.name:
        raise UserError(f"it belongs to {attempt.key}, not to {path.parent.name}")
    if attempt.started.tzinfo is None or attempt.updated.tzinfo is None:
        raise UserError("its times have no time zone")
    return attempt


def _number(path: Path) -> int | None:
    digits = path.name.partition("-")[0].partition(".")[0]
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 20 else None


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
