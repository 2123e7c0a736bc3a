"""Training that is killed, stopped, run twice at once, or has no room on the disk."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.faults.processes import STARTED, forked, last_line, spawned, verdict
from benchmarks.faults.projects import TRAINED, Tiny
from harness.paths import attempts_folder
from tests.pipeline.tiny import TARGET

Cases = Iterator[tuple[str | None, str]]
WRITES = frozenset({"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink"})
ROOM = 64 * 2**20


def killed(source: random.Random, folder: Path) -> Cases:
    """SIGKILL once or twice at random moments: the next call ends in the bytes of an undisturbed run."""
    tiny = Tiny(folder.parent)
    begun = time.monotonic()
    tiny.finished(tiny.fresh(folder / "project"))
    duration = time.monotonic() - begun
    while True:
        root = tiny.fresh(folder / "project")
        for _ in range(source.choice((1, 1, 2))):
            child = forked(root, "train", TRAINED)
            time.sleep(source.uniform(0, 0.7 * duration))
            child.send(signal.SIGKILL)
            child.wait()
        _age(root)
        yield tiny.finished(root), "the bytes of an undisturbed run"


def killed_at_operations(source: random.Random, folder: Path) -> Cases:
    """SIGKILL at each file operation of a run: before it, with its file half written, and after it."""
    tiny = Tiny(folder.parent)
    root = tiny.fresh(folder / "project")
    counted = folder / "counted"
    for command in ("train", "evaluate"):
        forked(root, command, TRAINED, before=lambda: _die_at(root, -1, "", counted)).wait()
    operations = int(counted.read_text())
    points = list(product(range(1, operations + 1), ("before", "half", "after")))
    source.shuffle(points)
    while True:
        for number, how in points:
            root = tiny.fresh(folder / "project")
            counted.write_text("0")
            for command in ("train", "evaluate"):
                code, _ = forked(root, command, TRAINED, before=lambda: _die_at(root, number, how, counted)).wait()  # noqa: B023
                if code == -signal.SIGKILL:
                    break
            _age(root)
            wrong = tiny.finished(root)
            yield wrong and f"operation {number} of {operations}, {how}: {wrong}", "the bytes of an undisturbed run"


def _die_at(root: Path, fatal: int, how: str, counted: Path) -> None:
    """Let this process kill itself at file operation number `fatal` under `root`; count on in `counted`."""
    done = int(counted.read_text()) if counted.exists() else 0
    note = os.open(counted, os.O_RDWR | os.O_CREAT)
    here = str(root.resolve())

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal done
        writes = event in WRITES
        if event == "open":
            _, mode, flags = arguments
            writes = bool(flags & (os.O_WRONLY | os.O_RDWR)) if isinstance(flags, int) else "r" not in (mode or "r")
        if not writes or not isinstance(arguments[0], str | bytes | os.PathLike):
            return
        if not os.fspath(arguments[0]).startswith(here if isinstance(arguments[0], str) else here.encode()):  # type: ignore[arg-type]
            return
        if done == fatal:  # the operation after it: it is over
            die()
        done += 1
        os.pwrite(note, b"%-9d" % done, 0)
        if done == fatal and how != "after":
            if how == "half" and event == "os.rename" and os.path.isfile(arguments[0]):  # noqa: PTH113
                os.truncate(arguments[0], os.stat(arguments[0]).st_size // 2)  # noqa: PTH116
            die()

    sys.addaudithook(hook)


def _age(root: Path) -> None:
    """Let what was left half-written be older than what somebody may still be writing."""
    for path in (root / "results").rglob("*.partial"):
        os.utime(path, (time.time() - 3600, time.time() - 3600))


def stopped(source: random.Random, folder: Path) -> Cases:
    """SIGINT, SIGTERM or SIGHUP in training: one line and 130, and the next call ends in the same bytes."""
    tiny = Tiny(folder.parent)
    begun = time.monotonic()
    tiny.finished(tiny.fresh(folder / "project"))
    duration = time.monotonic() - begun
    while True:
        root = tiny.fresh(folder / "project")
        child = forked(root, "train", TRAINED)
        time.sleep(source.uniform(0, 0.6 * duration))
        child.send(source.choice((signal.SIGINT, signal.SIGTERM, signal.SIGHUP)))
        code, said = child.wait()
        early = code is not None and code < 0  # before it had begun to listen
        wrong = None if early else verdict(code, said, interrupted=True)
        wrong = wrong or ("a process is left" if child.orphans() else None) or tiny.finished(root)
        yield wrong, last_line(said, root)


def threads(source: random.Random, folder: Path) -> Cases:
    """One thread or two, for torch and Numba each: the same bytes."""
    tiny = Tiny(folder.parent)
    while True:
        root = tiny.fresh(folder / "project")
        own = {name: source.choice("12") for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")}
        wrong = None
        for command in ("train", "evaluate"):
            child = spawned(root, [sys.executable, "-c", STARTED, command, TRAINED], own)
            wrong = wrong or verdict(*child.wait())
        yield wrong or tiny.difference(root), "the bytes of an undisturbed run"


def twice_at_once(source: random.Random, folder: Path) -> Cases:
    """Two processes train the same run: both end well, in the bytes of one."""
    tiny = Tiny(folder.parent)
    while True:
        root = tiny.fresh(folder / "project")
        first = forked(root, "train", TRAINED)
        time.sleep(source.uniform(0, 0.6))
        second = forked(root, "train", TRAINED)
        ended = [first.wait(), second.wait()]
        wrong = next((wrong for code, said in ended if (wrong := verdict(code, said))), None)
        yield wrong or tiny.finished(root), "the bytes of an undisturbed run"


def no_room(source: random.Random, folder: Path) -> Cases:
    """The disk under results/ is full: one line, class `disk`; with room again the run goes on to the same bytes."""
    tiny = Tiny(folder.parent)
    checkpoint = (tiny.result / "checkpoint.safetensors").stat().st_size
    while True:
        root = tiny.fresh(folder / "project")
        results = root / "results"
        kept = folder / "kept"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(results, kept)
        need = sum(path.stat().st_size for path in kept.rglob("*"))
        room = need + 32768 + source.randrange(0, 8 * checkpoint)
        if not mounted(results, room):
            return
        try:
            shutil.copytree(kept, results, dirs_exist_ok=True)
            code, said = forked(root, "train", TRAINED).wait()
            wrong = verdict(code, said) or (None if code == 0 else _not_disk(root, said))
            subprocess.run(["mount", "-o", f"remount,size={ROOM}", str(results)], check=True)
            yield wrong or tiny.finished(root), last_line(said, root) or "there was room enough"
        finally:
            subprocess.run(["umount", "--lazy", str(results)], check=False)


def _not_disk(root: Path, said: str) -> str | None:
    """The failure was recorded as the disk's, if it could be recorded."""
    for path in sorted(attempts_folder(root, TRAINED).glob("*.json"))[-1:]:
        document = json.loads(path.read_text() or "{}")
        if document.get("status") == "failed" and document["reason"] != "disk":
            return f"class {document['reason']}: {document['message']}"
    known = ("cannot be written", "No space", "free some space", "disk is full")
    return None if any(words in said for words in known) else f"does not name the disk: {said[-200:]}"


def no_room_for_data(source: random.Random, folder: Path) -> Cases:
    """The disk under data/prepared is full: one line; with room again the same bytes, and nothing half-written."""
    tiny = Tiny(folder.parent)
    whole = {path.name: path.read_bytes() for path in (tiny.root / "data/prepared" / TARGET).iterdir()}
    size = sum(map(len, whole.values()))
    root = tiny.fresh(folder / "project")
    prepared = root / "data" / "prepared"
    while True:
        shutil.rmtree(prepared)
        prepared.mkdir()
        if not mounted(prepared, 4096 + source.randrange(0, int(1.3 * size))):
            return
        try:
            code, said = forked(root, "data", "prepare", TARGET).wait()
            wrong = verdict(code, said)
            if code == 1 and any(prepared.iterdir()):
                wrong = wrong or f"left behind: {[path.name for path in prepared.iterdir()]}"
            subprocess.run(["mount", "-o", f"remount,size={ROOM}", str(prepared)], check=True)
            again, then = forked(root, "data", "prepare", TARGET).wait()
            wrong = wrong or verdict(again, then)
            found = {path.name: path.read_bytes() for path in (prepared / TARGET).iterdir()} if again == 0 else {}
            yield wrong or (None if found == whole else "other bytes"), last_line(said, root) or "there was room enough"
        finally:
            subprocess.run(["umount", "--lazy", str(prepared)], check=False)


def mounted(folder: Path, size: int) -> bool:
    """Put a small disk in the place of a folder; False where that is not allowed."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def killed_preparing(source: random.Random, folder: Path) -> Cases:
    """`data draw` or `data prepare` is killed: no worker lives on, and the next call writes the same bytes."""
    tiny = Tiny(folder.parent)
    root = tiny.fresh(folder / "project")
    kinds = {"draw": root / "data" / "raw" / TARGET, "prepare": root / "data" / "prepared" / TARGET}
    whole = {kind: _contents(place) for kind, place in kinds.items()}
    begun = time.monotonic()
    tiny.must("data", "prepare", TARGET)
    duration = time.monotonic() - begun
    while True:
        kind = source.choice(["draw", "prepare"])
        if source.random() < 0.5:
            shutil.rmtree(kinds[kind], ignore_errors=True)
        child = forked(root, "data", kind, TARGET)
        time.sleep(source.uniform(0, duration))
        child.send(signal.SIGKILL)
        child.wait()
        orphans = child.orphans()
        code, said = forked(root, "data", kind, TARGET).wait()
        left = [path.name for path in kinds[kind].parent.iterdir() if path.name.startswith(".")]
        wrong = verdict(code, said) or ("a process is left" if orphans else None)
        wrong = wrong or (f"left behind: {left}" if left else None)
        yield wrong or (None if _contents(kinds[kind]) == whole[kind] else f"{kind}: other bytes"), "the same bytes"


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
