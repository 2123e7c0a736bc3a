"""`harness run`: pairings by key or pattern, several at once, through DVC's stages."""

from __future__ import annotations

import difflib
import fnmatch
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from harness.commands.check import stale_pipelines
from harness.data.scan import default_workers
from harness.errors import UserError
from harness.learning.threads import threads
from harness.paths import PIPELINES
from harness.pipeline.pipelines import evaluate_stage
from harness.pipeline.plan import starter_pairings, with_inits
from harness.pipeline.status import run_status
from harness.specs.pairing import Pairing
from harness.specs.registry import Registry

ROOT = Path("dvc.yaml")
LEADERBOARD = "leaderboard"
"""The stage that depends on all runs."""


def run(registry: Registry, patterns: Sequence[str], starter: bool, jobs: int | None) -> Iterator[str]:
    """Reproduce the planned pairings that fit a pattern and what they start from; yield what came of it.

    No pattern: the whole plan and the leaderboard's table, as `dvc repro` does. Raises UserError for a pattern that
    fits nothing, for pipelines that are not as planned, and at the end if a run failed.
    """
    chosen = chosen_pairings(registry.checked(), patterns, starter)
    problems = stale_pipelines(registry, chosen)
    if problems:
        raise UserError("\n".join(problems))
    if jobs is not None and jobs < 1:
        raise UserError(f"--jobs {jobs}: expected at least 1")
    from harness.pipeline.running import in_order, reproduce  # with DVC, which takes a second
    from harness.pipeline.stages import Workspace

    methods = dict.fromkeys(pairing.method for pairing in chosen)
    workspace = Workspace(registry.root, [ROOT, *(PIPELINES / name / "dvc.yaml" for name in methods)])
    targets = [evaluate_stage(pairing) for pairing in chosen]
    if len(chosen) == len(registry.planned):
        targets.append(LEADERBOARD)
    order = in_order(targets, workspace.upstream(), _starts(registry, chosen))
    slots = _slots(jobs, _visible_gpus())
    with _display(registry.root, order) as display:
        outcome = reproduce(workspace, order, slots, display)
    counts = {
        "done": len(outcome.done),
        "from DVC's cache": len(outcome.restored),
        "unchanged": len(outcome.unchanged),
        "failed": len(outcome.failed),
        "skipped": len(outcome.skipped),
    }
    yield f"{_count(len(order), 'stage')} of {_count(len(chosen), 'run')}: " + ", ".join(
        f"{n} {what}" for what, n in counts.items() if n
    )
    if outcome.failed:
        lines = [f"{name}: {tail[-1].removeprefix('error: ') if tail else ''}" for name, tail in outcome.failed.items()]
        lines += [f"{name}: skipped, it needs {why}" for name, why in outcome.skipped.items() if _is_run(name)]
        raise UserError("\n".join([f"{_count(len(outcome.failed), 'stage')} failed", *lines]))


def chosen_pairings(registry: Registry, patterns: Sequence[str], starter: bool) -> list[Pairing]:
    """Return the pairings asked for and those that they start from, in the plan's order."""
    planned = registry.planned
    if not planned:
        raise UserError("nothing is planned; run: harness plan")
    wanted = {pairing.key for pairing in starter_pairings(registry)} if starter else set()
    for pattern in patterns:
        found = fnmatch.filter(planned, pattern)
        if not found:
            close = difflib.get_close_matches(pattern, planned, 1)
            meant = f"; did you mean {close[0]!r}?" if close else ""
            hint = f"{meant}; `harness list pairings` shows them, `harness plan --add` plans more"
            raise UserError(f"no planned pairing is called {pattern!r}{hint}")
        wanted.update(found)
    if not starter and not patterns:
        wanted.update(planned)
    missing = sorted(wanted - planned.keys())
    if missing:
        raise UserError(f"not planned: {', '.join(missing)}; run: harness plan --add")
    chosen = with_inits(registry, [planned[key] for key in wanted])
    missing = [pairing.key for pairing in chosen if pairing.key not in planned]
    if missing:
        raise UserError(f"they start from runs that are not planned: {', '.join(missing)}; run: harness plan --add")
    return chosen


def _starts(registry: Registry, chosen: Iterable[Pairing]) -> set[str]:
    return {evaluate_stage(start) for pairing in chosen for start in registry.init_pairings(pairing)}


def _visible_gpus() -> list[str]:
    """Return the GPUs that CUDA may use, as CUDA_VISIBLE_DEVICES names them, without loading torch."""
    if os.environ.get("HARNESS_DEVICE", "") == "cpu":
        return []
    stated = os.environ.get("CUDA_VISIBLE_DEVICES")
    if stated is not None:
        return [name for name in stated.split(",") if name and name != "-1"]
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    command = [tool, "--query-gpu=index", "--format=csv,noheader"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout.split() if done.returncode == 0 else []


def _slots(jobs: int | None, gpus: Sequence[str]) -> list[dict[str, str]]:
    """Return the environment of each command that runs beside others: its share of the GPUs, if there are any.

    By default one for each GPU, or one for each core that a run's threads take.
    """
    if not gpus:
        return [{} for _ in range(jobs or max(1, default_workers() // threads()))]
    count = jobs or len(gpus)
    shares = [gpus[slot::count] or [gpus[slot % len(gpus)]] for slot in range(count)]
    return [{"CUDA_VISIBLE_DEVICES": ",".join(share)} for share in shares]


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _is_run(stage: str) -> bool:
    return ":evaluate@" in stage


def _short(stage: str) -> str:
    """A stage as a reader wants it: `train KEY` instead of its address."""
    return stage.rpartition(":")[2].replace("@", " ") if "@" in stage else stage


@contextmanager
def _display(root: Path, order: Sequence[str]) -> Iterator[_Lines | _Bars]:
    console = Console(file=sys.stderr)
    if not console.is_terminal:
        yield _Lines(order)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bars:
        yield _Bars(root, order, bars)


class _Lines:
    """Plain lines for a log: what the commands say, and what becomes of them."""

    def __init__(self, order: Sequence[str]) -> None:
        self.total, self.ended_runs = sum(map(_is_run, order)), 0
        self.begun = time.monotonic()

    def began(self, stage: str, slot: int) -> None:
        pass

    def said(self, stage: str, line: str) -> None:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()

    def ended(self, stage: str, outcome: str) -> None:
        if _is_run(stage):
            self.ended_runs += 1
        if outcome in ("failed", "skipped") or (_is_run(stage) and outcome != "unchanged"):
            count = f"[{self.ended_runs} of {self.total} runs] " if _is_run(stage) else ""
            self.said(stage, f"{count}{_short(stage)}: {outcome}")

    def glance(self) -> None:
        pass


class _Bars:
    """A bar for the runs in all, and one for each command that is running, with its epochs."""

    def __init__(self, root: Path, order: Sequence[str], bars: Progress) -> None:
        self.root, self.bars = root, bars
        self.all = bars.add_task("runs", total=sum(map(_is_run, order)))
        self.tasks: dict[str, TaskID] = {}
        self.tails: dict[str, list[str]] = {}

    def began(self, stage: str, slot: int) -> None:
        self.tasks[stage] = self.bars.add_task(_short(stage), total=None)

    def said(self, stage: str, line: str) -> None:
        self.tails.setdefault(stage, []).append(line)

    def ended(self, stage: str, outcome: str) -> None:
        if stage in self.tasks:
            self.bars.remove_task(self.tasks.pop(stage))
        said = self.tails.pop(stage, [])
        if outcome == "failed":
            self.bars.console.print(*said[-5:], f"{_short(stage)}: failed", sep="\n", markup=False, highlight=False)
        if _is_run(stage):
            self.bars.advance(self.all)

    def glance(self) -> None:
        for stage, task in self.tasks.items():
            _, _, key = stage.partition("@")
            now = run_status(self.root, key) if "train" in _short(stage) else None
            if now and now.state == "running" and now.attempt and now.attempt.epochs:
                self.bars.update(task, completed=now.attempt.epoch, total=now.attempt.epochs)
