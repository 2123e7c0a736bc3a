"""Scan a dataset: decode every image once, in several processes, with bounded memory."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError
from harness.inputs.images import Facts, ImageError, read_image, resized

CHUNK = 128
PR_SET_PDEATHSIG = 1  # sys/prctl.h

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""


@dataclass(frozen=True)
class Pixels:
    """Destination of resized pixels: image `i` of a scan goes to offset `offset + i · height · width · 3` of `path`."""

    path: Path
    offset: int
    height: int
    width: int


@dataclass(frozen=True)
class Problem:
    """An image that cannot be used, and why."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.path.as_posix()} {self.reason}"


def scan(
    root: Path,
    paths: Sequence[Path],
    workers: int,
    label: str,
    progress: Progress | None = None,
    pixels: Pixels | None = None,
) -> list[Facts | Problem]:
    """Decode the images at `root / path`, in order; write them, resized, to `pixels` if it is given.

    The result does not depend on `workers`. Raises OSError if the disk is full.
    """
    chunks = [(start, paths[start : start + CHUNK]) for start in range(0, len(paths), CHUNK)]
    results: list[Facts | Problem] = []
    for done in _run(root, chunks, workers, pixels):
        results += done
        if progress:
            progress(label, len(results), len(paths))
    return results


def _run(
    root: Path, chunks: list[tuple[int, Sequence[Path]]], workers: int, pixels: Pixels | None
) -> Iterator[list[Facts | Problem]]:
    if workers <= 1 or len(chunks) <= 1:
        for start, paths in chunks:
            yield _scan_chunk(root, start, paths, pixels)
        return
    # Spawned, not forked: the caller may hold threads (torch, numba) that a fork would break.
    pool = ProcessPoolExecutor(
        min(workers, len(chunks)),
        mp_context=get_context("spawn"),
        initializer=_end_with_parent,
        initargs=(os.getpid(),),
    )
    try:
        waiting: deque[Future[list[Facts | Problem]]] = deque()
        # Ctrl-C reaches the whole process group: workers inherit that they do not hear it, their parent ends them.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
        try:
            waiting.append(pool.submit(_scan_chunk, root, *chunks[0], pixels))
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGHUP})
        for start, paths in chunks[1:]:
            waiting.append(pool.submit(_scan_chunk, root, start, paths, pixels))
            if len(waiting) >= 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise UserError("a process that decoded images was killed, perhaps for want of memory; run it again") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _end_with_parent(parent: int) -> None:
    """Let the kernel end this worker when its parent is killed, which can tell it nothing any more."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was killed before this
        os._exit(1)


def _scan_chunk(root: Path, start: int, paths: Sequence[Path], pixels: Pixels | None) -> list[Facts | Problem]:
    found: list[Facts | Problem] = []
    block = np.zeros((len(paths), pixels.height, pixels.width, 3), np.uint8) if pixels else None
    for row, path in enumerate(paths):
        try:
            image, facts = read_image(root / path)
        except ImageError as error:
            found.append(Problem(path, str(error)))
            continue
        found.append(facts)
        if pixels and block is not None:
            block[row] = resized(image, pixels.height, pixels.width)
    if pixels and block is not None:
        _write_at(pixels.path, pixels.offset + start * block[0].nbytes, block)
    return found


def _write_at(path: Path, position: int, block: NDArray[np.uint8]) -> None:
    """Write with `pwrite`, not through a memory map: on a full disk a map ends the process."""
    file = os.open(path, os.O_WRONLY)
    try:
        view = memoryview(block.tobytes())
        while view:
            written = os.pwrite(file, view, position)
            view, position = view[written:], position + written
    finally:
        os.close(file)


def default_workers() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
