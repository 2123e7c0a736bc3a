"""Faults, injected and counted: `python -m benchmarks faults [--minutes N] [--seed S]` writes docs/reliability.md.

A case survives if the user gets the promised result, or one line that says what is wrong and what to do, and the next
call goes on. A traceback, a hang (5 s of processor time for one input), more than 1 GB for one input, a file left
behind, a process left behind or another figure is a failure.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.fuzz import GATES, mutated, survives
from harness import __version__
from harness.errors import UserError
from harness.paths import write_text
from harness.store import ingest, open_store, views
from harness.store.database import database_url
from tests.store.factory import Project, small_project

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-c", "from harness.start import main; main()"]
CPU_SECONDS, MEMORY_MIB = 5.0, 1024
KEY = "cluster-contrast__beta__s0"


@dataclass
class Row:
    """One row of the report."""

    what: str
    tried: int = 0
    survived: int = 0
    seconds: float = 0.0
    seen: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def count(self, failure: str | None, seen: str = "") -> None:
        """Count one case: `failure` says what went wrong, `seen` what the user saw."""
        self.tried += 1
        self.survived += failure is None
        if failure:
            self.failures.append(failure)
        if seen:
            self.seen[seen] += 1


Cases = Callable[[random.Random, Path], Iterator[tuple[str | None, str]]]


def fuzz(gate: str, seconds: float, seed: int, folder: Path) -> Row:
    """Damage inputs of one gate for so many seconds."""
    row, source, seeds = Row(gate), random.Random(seed), GATES[gate][0]()
    survives(gate, seeds[0], folder)  # what is imported at first use is not the input's
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        data = mutated(seeds[row.tried % len(seeds)], source)
        before, cpu = _peak_mib(), time.process_time()
        fault = survives(gate, data, folder)
        if time.process_time() - cpu > CPU_SECONDS:
            fault = f"{time.process_time() - cpu:.0f} s of processor time"
        elif _peak_mib() - before > MEMORY_MIB:
            fault = f"{_peak_mib() - before:.0f} MiB"
        row.count(None if fault is None else f"{fault} for {data[:80]!r}")
        if gate == "archive":
            shutil.rmtree(folder / "inside", ignore_errors=True)
    row.seconds = time.monotonic() - begun
    return row


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _figures(root: Path) -> list[object]:
    store = open_store(database_url(root), read_only=True)
    try:
        return [(run.key, run.map, run.rank1, run.rank5, run.rank10, run.minp) for run in views.runs(store)]
    finally:
        store.close()


def _damaged(data: bytes, source: random.Random) -> bytes:
    """One flipped bit, an altered stretch, or a cut."""
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


def results_files(source: random.Random, folder: Path) -> Iterator[tuple[str | None, str]]:
    """A file of a run is damaged: the run is named and left out, or nothing has changed; the others stand."""
    project = small_project(folder / "project")
    ingest(project.root)
    right = _figures(project.root)
    run = project.root / "results" / "runs" / KEY
    while True:
        path = run / source.choice(["record.json", "metrics.json", "history.csv", "queries.parquet"])
        whole = path.read_bytes()
        path.write_bytes(_damaged(whole, source))
        try:
            report = ingest(project.root)
            left = [figures for figures in right if KEY not in figures] if report.rejected else right  # type: ignore[operator]
            named = list(report.rejected) in ([], [f"results/runs/{KEY}"])
            failure = None if named and _figures(project.root) == left else f"other figures by {path.name}"
            seen = "".join(report.rejected.values())
        except Exception as error:
            failure, seen = f"{type(error).__name__} by {path.name}: {error}", ""
        path.write_bytes(whole)
        ingest(project.root)
        yield failure, _shape(seen)


def database_files(source: random.Random, folder: Path) -> Iterator[tuple[str | None, str]]:
    """The database is damaged: it is said so, with the remedy, or the figures are right after the next ingestion."""
    project = small_project(folder / "project")
    ingest(project.root)
    path, right = Path(database_url(project.root)), _figures(project.root)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    whole = path.read_bytes()
    while True:
        for old in path.parent.glob("leaderboard.db*"):
            old.unlink()
        path.write_bytes(_damaged(whole, source))
        try:
            ingest(project.root)
            failure = None if _figures(project.root) == right else "other figures"
            seen = "the figures are right"
        except UserError as error:
            failure, seen = (None if "delete it and run" in str(error) else f"no remedy: {error}"), str(error)
        except Exception as error:
            failure, seen = f"{type(error).__name__}: {error}", ""
        yield failure, _shape(seen)


def checkpoints(source: random.Random, folder: Path) -> Iterator[tuple[str | None, str]]:
    """A bit of a checkpoint or an unfinished state is flipped: it is found, or it stood for nothing (padding)."""
    import torch

    from harness.learning.state import read_tensors, write_tensors

    path = folder / "checkpoint.safetensors"
    tensors = {f"layer{number}": torch.randn(64, 32) for number in range(6)}
    write_tensors(tensors, path, {"key": "a", "method": "b"})
    whole = path.read_bytes()
    while True:
        data = bytearray(whole)
        data[source.randrange(len(data))] ^= 1 << source.randrange(8)
        path.write_bytes(data)
        try:
            found, _ = read_tensors(path)
            same = found.keys() == tensors.keys() and all(torch.equal(found[name], tensors[name]) for name in tensors)
            yield (None if same else "a flipped bit was believed"), "padding: nothing has changed"
        except UserError as error:
            yield None, _shape(str(error))
        except Exception as error:
            yield f"{type(error).__name__}: {error}", ""


def _ingested(folder: Path) -> tuple[Project, list[object], Path]:
    """Return a project that was taken in undisturbed, its figures, and its database."""
    project = small_project(folder / "project")
    (project.root / "dvc.yaml").write_text("stages: {}\n")
    ingest(project.root)
    return project, _figures(project.root), Path(database_url(project.root))


def _delete_database(path: Path) -> None:
    for old in path.parent.glob("leaderboard.db*"):
        old.unlink()


def killed_ingestion(source: random.Random, folder: Path) -> Iterator[tuple[str | None, str]]:
    """An ingestion is killed: the next one gives what an undisturbed one gives, and the database is whole."""
    project, right, path = _ingested(folder)
    while True:
        _delete_database(path)
        process = _start(project.root, "leaderboard")
        time.sleep(source.uniform(0.2, 2.0))
        process.kill()
        process.communicate()
        try:
            ingest(project.root)
            connection = sqlite3.connect(path)
            intact = connection.execute("PRAGMA integrity_check").fetchone()[0]
            connection.close()
            yield (None if intact == "ok" and _figures(project.root) == right else f"integrity: {intact}"), ""
        except Exception as error:
            yield f"{type(error).__name__}: {error}", ""


def many_at_once(_source: random.Random, folder: Path) -> Iterator[tuple[str | None, str]]:
    """Four ingesters at once, from an empty database: all end well, the rows are those of one."""
    project, right, path = _ingested(folder)
    while True:
        _delete_database(path)
        processes = [_start(project.root, "leaderboard") for _ in range(4)]
        ended = [(process.communicate()[1], process.returncode) for process in processes]
        bad = [said for said, code in ended if code or "Traceback" in said]
        yield (f"{bad[0][-200:]}" if bad else None if _figures(project.root) == right else "other figures"), ""


def signals(source: random.Random, folder: Path) -> Iterator[tuple[str | None, str]]:
    """SIGINT, SIGTERM or SIGHUP to the process group of a command: one line, exit 130, nothing left behind."""
    root = folder / "project"
    root.mkdir()
    for name in ("dvc.yaml", "datasets", "methods", "reported.yaml", "pipelines"):
        if (ROOT / name).exists():
            (root / name).symlink_to(ROOT / name)
    commands = [
        ["list"],
        ["check"],
        ["data", "draw", "drawn-summer"],
        ["data", "prepare", "drawn-summer"],
        ["leaderboard"],
    ]
    subprocess.run(
        [*COMMAND, "data", "draw", "drawn-summer"], cwd=root, env=_environment(), capture_output=True, check=True
    )
    while True:
        arguments, number = source.choice(commands), source.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
        process = _start(root, *arguments)
        time.sleep(source.uniform(0.15, 2.5))
        os.killpg(process.pid, number)
        try:
            _, said = process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            yield f"{' '.join(arguments)} did not end by {number.name}", ""
            continue
        failure = None
        if "Traceback" in said or process.returncode not in (0, 130, -number):
            failure = f"{' '.join(arguments)}, {number.name}: exit {process.returncode}: {said[-300:]}"
        elif process.returncode == 130 and not said.endswith("interrupted; run the same command again to continue\n"):
            failure = f"{' '.join(arguments)}: no line"
        yield failure, said.strip().splitlines()[-1] if process.returncode == 130 else "ended before the signal"


def hostile_commands(source: random.Random, folder: Path) -> Iterator[tuple[str | None, str]]:
    """A project file is replaced by something else: every command says so in one line or does without it."""
    project = small_project(folder / "project")
    (project.root / "dvc.yaml").write_text("stages: {}\n")
    files = [
        "pipelines/cluster-contrast/dvc.yaml",
        "reported.yaml",
        "methods/cluster-contrast.yaml",
        "results/published.json",
    ]
    files += [f"results/runs/{KEY}/{name}" for name in ("history.csv", "metrics.json", "record.json")]
    while True:
        path, arguments = (
            project.root / source.choice(files),
            source.choice([["list", "runs"], ["leaderboard"], ["check"]]),
        )
        whole = path.read_bytes() if path.exists() else None
        path.unlink(missing_ok=True)
        match source.randrange(6):
            case 0:
                os.mkfifo(path)
            case 1:
                path.mkdir()
            case 2:
                path.symlink_to(path.name)
            case 3:
                path.write_bytes(source.randbytes(200))
            case 4:
                path.write_text("runs: [1, 2]\n")
            case 5:
                path.write_text('{"map": ' + "9" * 400 + "}")
        process = _start(project.root, *arguments)
        try:
            _, said = process.communicate(timeout=60)
            bad = "Traceback" in said or process.returncode not in (0, 1)
            failure = f"{' '.join(arguments)} by {path.name}: exit {process.returncode}: {said[-300:]}" if bad else None
        except subprocess.TimeoutExpired:
            process.kill()
            failure, said = f"{' '.join(arguments)} hangs by {path.name}", ""
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()
        if whole is not None:
            path.write_bytes(whole)
        yield failure, _shape(said.strip().splitlines()[-1].replace(f"{project.root}/", "")) if said.strip() else ""


def disk_full(source: random.Random, folder: Path) -> Iterator[tuple[str | None, str]]:
    """The disk under results/ has no room (a small tmpfs, where mounting is allowed): one line, then all is well."""
    project = small_project(folder / "project")
    ingest(project.root)
    right = _figures(project.root)
    disk = folder / "disk"
    disk.mkdir()
    while True:
        room = source.randrange(0, 600)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={max(room, 4)}k", "tmpfs", str(disk)]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            return
        try:
            try:
                os.environ["HARNESS_DATABASE_URL"] = f"sqlite:///{disk}/board.db"
                ingest(project.root)
                failure = None if _figures(project.root) == right else "other figures"
                seen = "there was room enough"
            except UserError as error:
                helped = error.reason == "disk" or "delete it and run" in str(error)
                failure, seen = (None if helped else f"class {error.reason}: {error}"), str(error)
            except Exception as error:
                failure, seen = f"{type(error).__name__}: {error}", ""
        finally:
            del os.environ["HARNESS_DATABASE_URL"]
            subprocess.run(["umount", "--lazy", str(disk)], capture_output=True, check=False)
        yield failure, _shape(seen)


CASES: dict[str, Cases] = {
    "one bit of a checkpoint or unfinished state": checkpoints,
    "a damaged file of a run, then ingestion": results_files,
    "a damaged database, then ingestion": database_files,
    "a project's file replaced by a pipe, folder, loop or noise": hostile_commands,
    "SIGINT, SIGTERM or SIGHUP in a command": signals,
    "ingestion killed": killed_ingestion,
    "four ingestions at once": many_at_once,
    "a full disk under the database": disk_full,
}


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "HARNESS_DATABASE_URL"} | {
        "PYTHONPATH": str(ROOT)
    }


def _start(root: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *arguments], cwd=root, env=_environment(), text=True, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def _shape(text: str) -> str:
    """A message without what differs from case to case."""
    first = text.strip().splitlines()[0] if text.strip() else ""
    first = re.sub(rf"{re.escape(tempfile.gettempdir())}/[^ :;,]*/", "…/", first)
    return first[:160]


def campaign(minutes: float, seed: int) -> tuple[list[Row], list[Row]]:
    """Run every kind of case for its share of the time; return the rows of injected faults and of fuzzed inputs."""
    share = 60 * minutes / 2
    rows, fuzzed = [], []
    for number, (what, cases) in enumerate(CASES.items()):
        row, begun = Row(what), time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            for failure, seen in cases(random.Random(seed + number), Path(folder)):
                row.count(failure, seen)
                if time.monotonic() - begun > share / len(CASES):
                    break
        row.seconds = time.monotonic() - begun
        rows.append(row)
        print(f"{what}: {row.survived} of {row.tried} survived", *row.failures[:3], sep="\n  ", flush=True)
    for number, gate in enumerate(GATES):
        with tempfile.TemporaryDirectory() as folder:
            fuzzed.append(fuzz(gate, share / len(GATES), seed + number, Path(folder)))
        row = fuzzed[-1]
        print(f"{gate}: {row.survived} of {row.tried} survived", *row.failures[:3], sep="\n  ", flush=True)
    return rows, fuzzed


def report(rows: list[Row], fuzzed: list[Row], minutes: float, seed: int) -> str:
    """Return docs/reliability.md."""
    lines = [
        "# Reliability", "",
        f"Written by `python -m benchmarks faults --minutes {minutes:g} --seed {seed}` (version {__version__}); "
        "not edited by hand.", "",
        "A case survives if the promised result comes, or one line that says what is wrong and what to do, and the "
        "next call goes on. Tracebacks, hangs, files or processes left behind and other figures are failures.", "",
        "| fault | tried | survived | what the user sees most often |", "| --- | ---: | ---: | --- |",
    ]  # fmt: skip
    for row in rows:
        seen = row.seen.most_common(1)[0][0].replace("|", "\\|") if row.seen else "the result"
        lines.append(f"| {row.what} | {row.tried:,} | {row.survived:,} | {seen if row.tried else 'not tried here'} |")
    total, seconds = sum(row.tried for row in fuzzed), sum(row.seconds for row in fuzzed)
    lines += [
        "", "## Fuzzed inputs", "",
        f"{total:,} inputs, {total / max(seconds, 1e-9):,.0f} a second, none over {CPU_SECONDS:g} s of processor time "
        f"or {MEMORY_MIB:,} MiB if all survived. Specs, documents and images of this project are flipped, cut, doubled "
        "and spliced with what has broken parsers before (`benchmarks/fuzz.py`).", "",
        "| gate | tried | survived | a second |", "| --- | ---: | ---: | ---: |",
    ]  # fmt: skip
    lines += [f"| {r.what} | {r.tried:,} | {r.survived:,} | {r.tried / max(r.seconds, 1e-9):,.0f} |" for r in fuzzed]
    failures = [f"- {row.what}: {failure}" for row in (*rows, *fuzzed) for failure in row.failures[:3]]
    if failures:
        lines += ["", "## Failures", "", *failures]
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> None:
    """Run the campaign and write its report; exit 1 if anything failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks faults", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "reliability.md")
    options = parser.parse_args(arguments)
    rows, fuzzed = campaign(options.minutes, options.seed)
    write_text(options.output, report(rows, fuzzed, options.minutes, options.seed))
    failed = sum(row.tried - row.survived for row in (*rows, *fuzzed))
    print(f"wrote {options.output}; {failed} failures")
    sys.exit(failed > 0)
