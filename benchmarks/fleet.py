"""Many machines: what a run costs beside a plain `dvc repro`, two workers beside one, and a head with 1,000 runs.

`small` and `large` give 1,000 and 10,000 runs that only sleep to 64 simulated workers of Ray (`tiny`: as many for each
of 8), and do one run of a tiny project by `dvc repro` and by `harness fleet work`. `starter` does the starter's runs of
this project, from nothing, with one worker and with two.
"""

from __future__ import annotations

import logging
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.measure import Outcome
from harness.fleet.documents import now
from harness.fleet.head import Head, Item, Summary, run_on_ray
from harness.fleet.worker import Job, Result

SIZES: dict[str, Any] = {"tiny": (125, 8), "small": (1_000, 64), "large": (10_000, 64), "starter": (0, 0)}
"""Runs, and simulated workers: each of them is a process of some 75 MB."""
SLEEP = 4.0
START_EVERY = 50
"""One run in so many is a start that those after it need."""
HOME = Path(__file__).parents[1]


def run(size: str, repeats: int, with_reference: bool) -> Iterator[Outcome]:
    """Yield the outcomes at a size."""
    if size == "starter":
        yield from _starter(with_reference)
        return
    yield _scheduling(*SIZES[size])
    yield from _overhead(with_reference)


class _Sleeping(Head):
    """A head whose items are done when a worker has slept."""

    def __init__(self, count: int) -> None:
        names = [f"run-{number}" for number in range(count)]
        self.items = {}
        for number, name in enumerate(names):
            start = names[number - number % START_EVERY]
            self.items[name] = Item(name, [], set() if name == start else {start}, 0)
        self.job = Job(fleet="none", commit="none", remote="none", settings={}, owner="benchmark")
        self.summary, self.began = Summary(), now()
        self.say = lambda line: None

    def take(self, item: Item, result: Result) -> None:
        item.state = "finished"
        self.summary.done[item.name] = result.host

    def announce(self, engine: str) -> None:
        pass

    def refresh(self) -> None:
        pass


def _scheduling(count: int, workers: int) -> Outcome:
    """Give out runs that sleep, to as many simulated workers as there are CPUs in a Ray that believes so."""
    import ray

    def sleep(job: str, item: str) -> str:  # travels by value: 64 processes need not import the project
        import time

        time.sleep(SLEEP)
        return '{"outcome": "finished", "host": "here"}'

    ray.init("local", num_cpus=workers, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    try:
        warm = ray.remote(sleep)
        ray.get([warm.options(num_cpus=1).remote("", "") for _ in range(workers)])  # its processes are there then
        head, begun, used = _Sleeping(count), time.perf_counter(), _cpu()
        summary = run_on_ray(head, None, 1, sleep)
        seconds, used = time.perf_counter() - begun, _cpu() - used
    finally:
        ray.shutdown()
    assert len(summary.done) == count
    return Outcome(
        "fleet, scheduling", f"{count} of {SLEEP:g} s", seconds, 0.0, limit_s=count * SLEEP / workers,
        limit=f"{workers} workers that never wait", agreement=f"head: {1000 * used / count:.1f} ms of CPU per run",
    )  # fmt: skip


def _cpu(whose: int = resource.RUSAGE_SELF) -> float:
    usage = resource.getrusage(whose)
    return usage.ru_utime + usage.ru_stime


def _overhead(with_reference: bool) -> Iterator[Outcome]:
    """Do one run of a tiny project, its data and spec there already, by a worker, by a head, and by `dvc repro`."""
    from tests.pipeline.versioned import versioned_project  # which needs what the tests need

    key = "colour-histogram__drawn-summer__s0"
    stage = f"pipelines/colour-histogram/dvc.yaml:evaluate@{key}"
    with tempfile.TemporaryDirectory() as folder:
        project = versioned_project(Path(folder) / "project")
        (Path(folder) / "remote").mkdir()
        project.run("dvc", "remote", "add", "--default", "lab", f"{folder}/remote")
        project.run("git", "commit", "-q", "-a", "-m", "A remote")
        project.run("dvc", "repro", "pipelines/colour-histogram/dvc.yaml:spec", "prepare@drawn-summer")
        project.run("dvc", "push", "--run-cache")
        project.run("git", "add", "-A")
        project.run("git", "commit", "-q", "-m", "Data and specs")

        def timed(*command: str) -> tuple[float, float]:
            begun, used = time.perf_counter(), _cpu(resource.RUSAGE_CHILDREN)
            project.run(*command)
            return time.perf_counter() - begun, _cpu(resource.RUSAGE_CHILDREN) - used

        there = ("--gpus-per-run", "0", "--scratch", f"{folder}/scratch")
        worker = timed("harness", "fleet", "work", key, *there)
        head = timed("harness", "fleet", "run", key, *there)
        reference: tuple[float, float] | None = None
        if with_reference:
            shutil.rmtree(project.root / "results" / "runs")
            shutil.rmtree(project.root / ".dvc" / "cache" / "runs")
            project.run("git", "checkout", "-q", "--", "pipelines")  # its lock files know of no run again
            reference = timed("dvc", "repro", stage)
    said = f"CPU: {worker[1]:.1f} s" + (f", dvc repro {reference[1]:.1f} s" if reference else "")
    wall = reference[0] if reference else None
    yield Outcome("fleet, one run", "a worker", worker[0], 0.0, "dvc repro", wall, agreement=said)
    yield Outcome("fleet, one run", "the head takes it in", head[0], 0.0, agreement=f"CPU: {head[1]:.1f} s")


def _starter(with_reference: bool) -> Iterator[Outcome]:
    """Do the starter's runs of this project from nothing with two workers, and with one."""
    seconds = {count: _starter_with(count) for count in ((2, 1) if with_reference else (2,))}
    yield Outcome("fleet, starter", "2 workers", seconds[2], 0.0, "1 worker", seconds.get(1))


def _starter_with(workers: int) -> float:
    import ray

    with tempfile.TemporaryDirectory() as folder:
        project, remote = Path(folder) / "project", Path(folder) / "remote"
        remote.mkdir()
        python = Path(sys.executable).parent
        environment = os.environ | {"PYTHONPATH": str(project), "PATH": f"{python}:{os.environ['PATH']}"}

        def call(*command: str, cwd: Path = project) -> str:
            done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=True)
            return done.stdout

        call("git", "clone", "-q", str(HOME), str(project), cwd=HOME)
        call("dvc", "remote", "add", "--default", "lab", str(remote))
        call("git", "-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "-q", "-a", "-m", "A remote")
        keys = [
            stage.partition("@")[2] for stage in call("harness", "list", "pairings", "--starter", "--stages").split()
        ]
        context: Any = ray.init("local", num_cpus=workers, include_dashboard=False, log_to_driver=False)
        address = context.address_info["gcs_address"]
        try:
            begun = time.perf_counter()
            call(
                "harness", "fleet", "run", *keys, "--address", address, "--gpus-per-run", "0", "--cpus-per-run", "1",
                "--scratch", f"{folder}/scratch",
            )  # fmt: skip
            return time.perf_counter() - begun
        finally:
            ray.shutdown()
