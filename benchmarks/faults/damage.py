"""Files that are damaged, removed or replaced, and what is then said."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.faults.mutations import VALUE, VALUES
from benchmarks.faults.processes import environment, forked, last_line, verdict
from benchmarks.faults.projects import TRAINED, Tiny, delete_database, figures, with_results
from harness.errors import UserError
from harness.paths import run_folder
from harness.store import ingest
from tests.pipeline.tiny import TARGET
from tests.store.factory import reseal

Cases = Iterator[tuple[str | None, str]]
KEY = "cluster-contrast__beta__s0"
RUN_FILES = ("record.json", "metrics.json", "history.csv", "queries.parquet")


def altered(data: bytes, source: random.Random) -> bytes:
    """Return `data` with one flipped bit, another stretch, or cut."""
    found = bytearray(data)
    at = source.randrange(max(1, len(found)))
    match source.randrange(3):
        case 0:
            found[at] ^= 1 << source.randrange(8)
        case 1:
            found[at : at + 64] = source.randbytes(64)
        case 2:
            del found[at:]
    return bytes(found)


def _flipped(data: bytes, source: random.Random) -> bytes:
    found = bytearray(data)
    found[source.randrange(len(found))] ^= 1 << source.randrange(8)
    return bytes(found)


def _revalued(data: bytes, source: random.Random) -> bytes:
    """`data` with one of its JSON values replaced by one of another kind."""
    places = list(VALUE.finditer(data))
    place = source.choice(places)
    return data[: place.start()] + source.choice(VALUES) + data[place.end() :]


def bits(source: random.Random, folder: Path) -> Cases:
    """One bit of a trained run or of its data is flipped: `harness evaluate` finds it and names the file."""
    tiny = Tiny(folder.parent)
    root = tiny.fresh(folder / "project")
    tiny.finished(root)
    run, prepared = run_folder(root, TRAINED), root / "data" / "prepared" / TARGET
    files = [*(run / name for name in ("checkpoint.safetensors", "record.json", "history.csv"))]
    files += [prepared / name for name in ("query.npy", "gallery.npy", "manifest.parquet")]
    while True:
        path = source.choice(files)
        whole = path.read_bytes()
        path.write_bytes(_flipped(whole, source))
        code, said = forked(root, "evaluate", TRAINED).wait()
        wrong = verdict(code, said)
        if code == 0:
            wrong = wrong or tiny.difference(root) or "a flipped bit was believed"
        elif path.name not in said:
            wrong = wrong or f"does not name {path.name}: {said[-200:]}"
        path.write_bytes(whole)
        yield wrong, last_line(said, root)


def unfinished_bits(source: random.Random, folder: Path) -> Cases:
    """One bit of both states, or of the newer one, of an unfinished run is flipped: found; the other one is taken."""
    tiny = Tiny(folder.parent)
    begun = tiny.fresh(folder / "begun")
    forked(begun, "train", TRAINED, before=_stop_in_the_last_epoch).wait()
    states = sorted(path.relative_to(begun) for path in (begun / "results" / "work").iterdir())
    newest = next(path for path in states if "before" not in path.name)
    while True:
        root = folder / "project"
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(begun, root, symlinks=True)
        torn = [newest] if source.random() < 0.7 else states
        for state in torn:
            (root / state).write_bytes(_flipped((root / state).read_bytes(), source))
        code, said = forked(root, "train", TRAINED).wait()
        wrong = verdict(code, said)
        if len(torn) == len(states):
            wrong = wrong or (None if code == 1 and "delete it" in said else f"exit {code}: {said[-200:]}")
        else:
            wrong = wrong or (None if "going on from the state before" in said else f"unseen: {said[-200:]}")
            wrong = wrong or tiny.finished(root)
        lines = [line for line in said.splitlines() if "damaged" in line or "not a readable" in line]
        yield wrong, re.sub(r"^.*?: ", "", lines[0].replace(f"{root}/", "")) if lines else last_line(said, root)


def _stop_in_the_last_epoch() -> None:
    import harness.pipeline.training.resume as resume

    done = resume.save

    def save(writer: Any, path: Path, state: Any, progress: Any, identity: str) -> None:
        done(writer, path, state, progress, identity)
        if state.epoch == 2:
            raise KeyboardInterrupt

    resume.save = save


def results(source: random.Random, folder: Path) -> Cases:
    """A file of a run is damaged, revalued, replaced or removed, then ingestion: named and left out; others stand."""
    project, right, _ = with_results(folder)
    run = run_folder(project.root, KEY)
    left = [row for row in right if KEY not in row]
    while True:
        path = run / source.choice(RUN_FILES)
        whole = {name: (run / name).read_bytes() for name in RUN_FILES}
        how = source.choice(["altered", "altered", "revalued", "resealed", "removed", "replaced"])
        if how in ("revalued", "resealed"):
            path = run / source.choice(["record.json", "metrics.json"])
            path.write_bytes(_revalued(whole[path.name], source))
            if how == "resealed":
                try:
                    document = json.loads(path.read_text())
                    path.write_text(json.dumps(document | {"sha256": ""}))
                    reseal(run)
                except (ValueError, TypeError):
                    pass
        elif how == "altered":
            path.write_bytes(altered(whole[path.name], source))
        else:
            path.unlink()
            if how == "replaced":
                replaced(path, source)
        wrong, seen = None, ""
        try:
            report = ingest(project.root)
            now = figures(project.root)
            seen = "".join(report.rejected.values())
            if set(report.rejected) - {f"results/runs/{KEY}"} or now not in (right, left):
                wrong = f"other figures by {path.name}, {how}"
            elif now == left and not report.rejected and how != "removed":
                wrong = f"left out without a word by {path.name}, {how}"
            elif now == right and how == "altered":
                wrong = f"damage of {path.name} was not found"
        except Exception as error:
            wrong = f"{type(error).__name__} by {path.name}, {how}: {error}"
        _restore(run, whole)
        ingest(project.root)
        yield wrong, seen or "left out until it is evaluated"


def replaced(path: Path, source: random.Random) -> None:
    match source.randrange(5):
        case 0:
            os.mkfifo(path)
        case 1:
            path.mkdir()
        case 2:
            path.symlink_to(path.name)
        case 3:
            path.symlink_to("/dev/zero")
        case 4:
            path.write_bytes(source.randbytes(200))


def _restore(folder: Path, whole: dict[str, bytes]) -> None:
    for name, data in whole.items():
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)
        path.write_bytes(data)


def published(source: random.Random, folder: Path) -> Cases:
    """results/published.json is altered: the run is named and left out, or the whole snapshot is; others stand."""
    from harness.store import publish

    project, _, database = with_results(folder)
    publish(project.root, partial=True)
    shutil.rmtree(project.root / "results" / "runs")
    ingest(project.root)
    right = {row[0]: row for row in figures(project.root)}
    path = project.root / "results" / "published.json"
    whole = path.read_bytes()
    while True:
        data = _revalued(whole, source) if source.random() < 0.6 else altered(whole, source)
        path.write_bytes(data)
        wrong, seen = None, "nothing that is shown has changed"
        try:
            report = ingest(project.root)
            seen = "".join([*report.rejected.values(), *report.problems][:1]) or seen
            now = {row[0]: row for row in figures(project.root)}
            if any(right.get(key) != row for key, row in now.items()):
                wrong = "other figures"
            elif len(now) < len(right) and not (report.rejected or report.problems):
                wrong = "left out without a word"
        except Exception as error:
            wrong = f"{type(error).__name__}: {error}"
        path.write_bytes(whole)
        delete_database(database)
        yield wrong, seen


SQL = (
    "UPDATE run SET map = map + 1 WHERE rowid = 3", "UPDATE run SET map = 'abc'", "UPDATE run SET document = '{'",
    "INSERT INTO meta SELECT 'schema2', value FROM meta", "UPDATE meta SET value = '0'", "DELETE FROM meta",
    "DROP TABLE run_detail", "UPDATE run SET rank1 = 500", "DELETE FROM run WHERE rowid % 2", "DROP TABLE meta",
)  # fmt: skip


def database(source: random.Random, folder: Path) -> Cases:
    """The database is damaged, edited or replaced: said so, with the remedy, or right after the next ingestion."""
    project, right, path = with_results(folder)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    whole = path.read_bytes()
    while True:
        delete_database(path)
        kind = source.randrange(4)
        if kind == 0:
            replaced(path, source)
        else:
            path.write_bytes(altered(whole, source) if kind > 1 else whole)
        if kind == 1:
            other = sqlite3.connect(path)
            try:
                other.execute(source.choice(SQL))
                other.commit()
            except sqlite3.Error:  # a column of another version of this table
                pass
            other.close()
        wrong, seen = None, "the figures are right"
        try:
            ingest(project.root)
            wrong = None if figures(project.root) == right else "other figures"
        except UserError as error:
            seen = str(error)
            helped = "delete it and run" in seen or "another program" in seen
            wrong = None if helped else f"no remedy: {error}"
        except Exception as error:
            wrong = f"{type(error).__name__}: {error}"
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        yield wrong, seen


FILES = (
    "reported.yaml", "methods/cluster-contrast.yaml", "datasets/beta.yaml", "results/published.json",
    "results/published-lists.parquet", "pipelines/cluster-contrast/dvc.yaml", "pipelines/cluster-contrast/dvc.lock",
    "results/leaderboard.db", f"results/attempts/{KEY}/0001-train.json",
    *(f"results/runs/{KEY}/{name}" for name in RUN_FILES),
)  # fmt: skip
TEXTS = (
    "runs: [1, 2]\n", "runs: 5\n", "{1: {}}\n", '{"map": ' + "9" * 400 + "}", "- " * 3000, "[" * 100_000,
    "<<<<<<< ours\na: 1\n=======\na: 2\n>>>>>>> theirs\n", "a: &a [*a]\n", "Title: x\n", "name: !!int abc\n", "", "\0",
)  # fmt: skip
COMMANDS = (
    ("list", "runs"), ("list", "methods"), ("list", "datasets"), ("list", "pairings"), ("leaderboard",), ("check",),
    ("plan", "--add"), ("show", KEY), ("results", "report"), ("schema",), ("site", "build/board"), ("doctor",),
    ("compare", "cluster-contrast", "cc-twin", "--target", "beta"), ("leaderboard", "--format", "json"),
)  # fmt: skip


def files_of_the_project(source: random.Random, folder: Path) -> Cases:
    """A file becomes a pipe, folder, link loop, device or noise: every command says so in a line or does without it."""
    project, _, _ = with_results(folder)
    shutil.copytree(project.root, folder / "whole", symlinks=True)
    while True:
        path = project.root / source.choice(FILES)
        if path.exists():
            path.unlink()
        path.parent.mkdir(parents=True, exist_ok=True)
        if source.random() < 0.5:
            replaced(path, source)
        else:
            path.write_text(source.choice(TEXTS))
        arguments = source.choice(COMMANDS)
        code, said = forked(project.root, *arguments).wait(60)
        wrong = verdict(code, said)
        yield (
            wrong and f"{' '.join(arguments)} by {path.relative_to(project.root)}: {wrong}",
            last_line(said, project.root),
        )
        shutil.rmtree(project.root)
        shutil.copytree(folder / "whole", project.root, symlinks=True)


def pipelines(source: random.Random, folder: Path) -> Cases:
    """A merge or an editor breaks a generated pipeline: every command says so, and `harness plan` mends it."""
    tiny = Tiny(folder.parent)
    root = tiny.fresh(folder / "project")
    path = next((root / "pipelines").glob("*/dvc.yaml"))
    whole = path.read_text()
    while True:
        place = source.choice([path, path.with_suffix(".lock"), root / "pipelines" / "datasets.yaml"])
        before = place.read_text() if place.exists() else None
        lines = (before or whole).splitlines(keepends=True)
        lines.insert(source.randrange(len(lines) + 1), source.choice(TEXTS[:-1]))
        place.write_text(source.choice([source.choice(TEXTS), "".join(lines)]))
        wrong, said = None, ""
        for arguments in (("list", "runs"), ("leaderboard",), ("check",), ("plan", "--seeds", "0"), ("check",)):
            code, last = forked(root, *arguments).wait(60)
            said = said or (last if code else "")
            wrong = wrong or verdict(code, last)
            if arguments[0] == "plan" and code:
                wrong = wrong or f"harness plan does not mend {place.name}: {last[-300:]}"
        if before is None:
            place.unlink(missing_ok=True)
        elif place.read_text() != before and place.suffix == ".yaml":
            wrong = wrong or f"harness plan leaves {place.name} as it was broken"
            place.write_text(before)
        else:
            place.write_text(before)
        yield wrong, last_line(said, root) or "mended by harness plan"


def cache(source: random.Random, folder: Path) -> Cases:
    """A file in DVC's cache is corrupt and checked out, as DVC does without a word: ingestion names it."""
    project, right, database_path = with_results(folder)
    root, run = project.root, run_folder(project.root, KEY)
    shutil.rmtree(root / "pipelines")  # which hold as much of a plan as ingestion reads, and no more
    files = [str((run / name).relative_to(root)) for name in RUN_FILES]
    for command in (("init", "--no-scm", "-q"), ("add", "-q", *files)):
        subprocess.run(["dvc", *command], cwd=root, env=environment(), check=True, capture_output=True)
    stored = [path for path in (root / ".dvc" / "cache").rglob("*") if path.is_file() and not path.suffix]
    stored = [path for path in stored if path.read_bytes() in {(run / name).read_bytes() for name in RUN_FILES}]
    left = [row for row in right if KEY not in row]
    while True:
        path = source.choice(stored)
        whole = path.read_bytes()
        path.chmod(0o644)
        path.write_bytes(_flipped(whole, source))
        path.chmod(0o444)
        for name in RUN_FILES:
            (run / name).unlink()
        checkout = ["dvc", "checkout", "-q", "--force"]
        subprocess.run(checkout, cwd=root, env=environment(), capture_output=True, check=False)
        delete_database(database_path)
        wrong, seen = None, ""
        try:
            report = ingest(root)
            seen = "".join(report.rejected.values()) or "DVC found it"
            wrong = None if figures(root) == left else "a corrupt file was believed"
        except Exception as error:
            wrong = f"{type(error).__name__}: {error}"
        path.chmod(0o644)
        path.write_bytes(whole)
        path.chmod(0o444)
        yield wrong, seen
