"""Ingestions that are killed, that come all at once with readers, and that find no room on the disk."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.faults.damage import COMMANDS, KEY
from benchmarks.faults.processes import forked, last_line, verdict
from benchmarks.faults.projects import delete_database, figures, with_results
from benchmarks.faults.training import mounted
from harness.errors import UserError
from harness.store import ingest

Cases = Iterator[tuple[str | None, str]]


def killed(source: random.Random, folder: Path) -> Cases:
    """An ingestion is killed: the next one gives what an undisturbed one gives, and the database is whole."""
    project, right, path = with_results(folder)
    begun = time.monotonic()
    forked(project.root, "leaderboard").wait()
    duration = time.monotonic() - begun
    while True:
        if source.random() < 0.7:
            delete_database(path)
        child = forked(project.root, "leaderboard")
        time.sleep(source.uniform(0, 2 * duration))
        child.send(signal.SIGKILL)
        child.wait()
        try:
            ingest(project.root)
            connection = sqlite3.connect(path)
            intact = connection.execute("PRAGMA integrity_check").fetchone()[0]
            connection.close()
            good = intact == "ok" and figures(project.root) == right
            yield None if good else f"integrity: {intact}", "the figures of an undisturbed ingestion"
        except Exception as error:
            yield f"{type(error).__name__}: {error}", ""


def at_once(source: random.Random, folder: Path) -> Cases:
    """Eight ingestions and three readers at once, from an empty or a full database: all end well, in one's figures."""
    project, right, path = with_results(folder)
    while True:
        if source.random() < 0.6:
            delete_database(path)
        children = [forked(project.root, "leaderboard") for _ in range(8)]
        readers = (("compare", "cluster-contrast", "cc-twin", "--target", "beta"), ("show", KEY), ("list", "runs"))
        children += [forked(project.root, *arguments) for arguments in readers]
        wrong = None
        for number, (code, said) in enumerate([child.wait() for child in children]):
            early = number >= 8 and ("no database yet" in said or "the database is empty" in said)
            wrong = wrong or verdict(code, said) or (None if code == 0 or early else said[-200:])
        yield wrong or (None if figures(project.root) == right else "other figures"), "the figures of one ingestion"


def no_room(source: random.Random, folder: Path) -> Cases:
    """The disk under the database is full: one line, class `disk`; with room again the figures are right."""
    project, right, _ = with_results(folder)
    disk = folder / "disk"
    disk.mkdir()
    while True:
        if not mounted(disk, 4096 * source.randrange(1, 150)):
            return
        os.environ["HARNESS_DATABASE_URL"] = f"sqlite:///{disk}/board.db"
        wrong, seen = None, "there was room enough"
        try:
            try:
                ingest(project.root)
                wrong = None if figures(project.root) == right else "other figures"
            except UserError as error:
                seen = str(error)
                wrong = None if error.reason == "disk" else f"class {error.reason}: {error}"
            subprocess.run(["mount", "-o", f"remount,size={64 * 2**20}", str(disk)], check=True)
            ingest(project.root)
            wrong = wrong or (None if figures(project.root) == right else "other figures with room again")
        except Exception as error:
            wrong = f"{type(error).__name__}: {error}"
        finally:
            del os.environ["HARNESS_DATABASE_URL"]
            subprocess.run(["umount", "--lazy", str(disk)], capture_output=True, check=False)
        yield wrong, seen


def read_only(source: random.Random, folder: Path) -> Cases:
    """A project that may not be written to: every command does its work or says so in one line."""
    from benchmarks.faults.projects import TRAINED, Tiny
    from tests.data.conftest import obeying_permissions
    from tests.pipeline.tiny import TARGET

    tiny = Tiny(folder.parent)
    roots: dict[Path, Sequence[tuple[str, ...]]] = {with_results(folder)[0].root: COMMANDS}
    trained = tiny.fresh(folder / "trained")
    tiny.finished(trained)
    roots[trained] = (
        ("train", TRAINED), ("evaluate", TRAINED), ("data", "prepare", TARGET), ("data", "draw", TARGET), ("plan",),
        ("data", "verify", TARGET), ("calibrate", TRAINED, "--dataset", TARGET), ("inspect", TRAINED), ("code",),
        ("new", "method", "mine", "--from", "cluster-contrast"), ("leaderboard",), ("data", "show", TARGET),
        ("export", TRAINED, "--format", "safetensors"), ("data", "specs"), ("results", "publish", "--partial"),
    )  # fmt: skip
    for root in roots:
        for path in [*root.rglob("*"), root]:
            if not path.is_symlink():
                path.chmod(0o555 if path.is_dir() else 0o444)
    while True:
        root = source.choice(list(roots))
        arguments = source.choice(roots[root])
        obeying = obeying_permissions()
        code, said = forked(root, *arguments, before=obeying.__enter__).wait()
        wrong = verdict(code, said)
        yield wrong and f"{' '.join(arguments)}: {wrong}", last_line(said, root) or "it needs to write nothing"
