"""Many machines: what a run costs beside a plain `dvc repro`, two workers beside one, and a head with 1,000 runs.

`small` and `large` give 1,000 and 10,000 runs that only sleep to 64 simulated workers of Ray (`tiny`: as many for each
of 8), do one run of a tiny project by `dvc repro` and by `harness fleet work`, and write what follows for 10,000 runs
on 100 machines. `starter` does the starter's runs of this project, from nothing, with one worker and with two. Each
writes its sections of `docs/scaling.md`.
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
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from ruamel.yaml import YAML

from benchmarks.measure import Outcome
from benchmarks.page import write_section
from harness.fleet.documents import Work, now
from harness.fleet.head import Head, Item, Loop, Summary, run_on_ray
from harness.fleet.worker import Job, Result
from harness.pipeline.stages import Workspace

SIZES: dict[str, Any] = {"tiny": (125, 8), "small": (1_000, 64), "large": (10_000, 64), "starter": (0, 0)}
"""Runs, and simulated workers: each of them is a process of some 75 MB."""
LOOPS = (1_000, 10_000)
"""Runs that the head gives out to an engine that answers at once."""
LOCKS = (20, 100, 300)
"""Runs that are in a lock file when one more is written into it."""
SLEEP = 4.0
FINISHED = '{"outcome": "finished", "host": "here"}'
START_EVERY = 50
"""One run in so many is a start that those after it need."""
MACHINES, RUNS, METHODS = 100, 10_000, 33
"""What is extrapolated to, each run an hour long."""
HOME = Path(__file__).parents[1]
PAGE = HOME / "docs" / "scaling.md"
KEY = "colour-histogram__drawn-summer__s0"


@dataclass
class Figures:
    """What was measured, in seconds of CPU: of a worker, of the head that takes its run in, of `dvc repro`.

    `loops` has the head's own by the number of runs, for all of them; `locks` one entry's by the runs in a lock file.
    """

    worker: float = 0.0
    head: float = 0.0
    repro: float | None = None
    loops: dict[int, float] = field(default_factory=dict)
    locks: dict[int, float] = field(default_factory=dict)


def run(size: str, repeats: int, with_reference: bool) -> Iterator[Outcome]:
    """Yield the outcomes at a size."""
    if size == "starter":
        yield from _starter(with_reference)
        return
    figures = Figures()
    scheduled = _scheduling(*SIZES[size])
    yield scheduled
    for count in LOOPS:
        figures.loops[count] = _loop(count)
        yield Outcome("fleet, the head's loop", f"{count} at once", figures.loops[count], 0.0)
    yield from _one_run(figures, with_reference)
    command = f"Written by `python -m benchmarks fleet --size {size}`; not edited by hand."
    write_section("What a run costs, measured", f"{command}\n\n{_costs(figures, scheduled)}", PAGE)
    write_section("10,000 runs on 100 machines", f"{command}\n\n{_extrapolated(figures)}", PAGE)


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


@contextmanager
def _ray(workers: int) -> Iterator[ModuleType]:
    """Yield Ray with a cluster of one node that believes to have a CPU for each worker."""
    os.environ |= {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_raylet_start_wait_time_s": "300",  # where much else runs …
        "RAY_memory_monitor_refresh_ms": "0",  # … Ray would kill for others' use of memory
        "RAY_worker_niceness": "0",
    }
    import ray

    ray.init(
        "local", num_cpus=workers, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR,
        object_store_memory=80 * 2**20,
    )  # fmt: skip
    try:
        yield ray
    finally:
        ray.shutdown()


class _AtOnce:
    """Stands in for Ray: a task is its number, and done when it is waited for."""

    count = 0

    def options(self, **wanted: Any) -> _AtOnce:
        return self

    def remote(self, job: str, item: str) -> int:
        self.count += 1
        return self.count

    def wait(self, tasks: list[int], num_returns: int, timeout: float) -> tuple[list[int], list[int]]:
        return tasks[:1], tasks[1:]  # as those do that take hours

    def get(self, task: int) -> str:
        return FINISHED


def _loop(count: int) -> float:
    """Return the CPU seconds of a head whose engine answers at once."""
    engine, head = _AtOnce(), _Sleeping(count)
    begun = time.process_time()
    Loop(engine, head, engine, 1).summary()
    return time.process_time() - begun


def _scheduling(count: int, workers: int) -> Outcome:
    """Give out runs that sleep, to as many simulated workers as there are CPUs in a Ray that believes so."""

    def sleep(job: str, item: str) -> str:  # travels by value: 64 processes need not import the project
        import time

        time.sleep(SLEEP)
        return FINISHED

    with _ray(workers) as ray:
        warm = ray.remote(sleep)
        ray.get([warm.options(num_cpus=1).remote("", "") for _ in range(workers)])  # its processes are there then
        head, begun, used = _Sleeping(count), time.perf_counter(), _cpu()
        summary = run_on_ray(head, None, 1, sleep)
        seconds, used = time.perf_counter() - begun, _cpu() - used
    assert len(summary.done) == count
    return Outcome(
        "fleet, scheduling", f"{count:,} of {SLEEP:g} s", seconds, 0.0, limit_s=count * SLEEP / workers,
        limit=f"{workers} workers that never wait", agreement=f"head: {1000 * used / count:.1f} ms of CPU per run",
    )  # fmt: skip


def _cpu(whose: int = resource.RUSAGE_SELF) -> float:
    usage = resource.getrusage(whose)
    return usage.ru_utime + usage.ru_stime


def _one_run(figures: Figures, with_reference: bool) -> Iterator[Outcome]:
    """Do one run of a tiny project, its data and spec there already, by a worker, by a head, and by `dvc repro`."""
    from tests.pipeline.versioned import versioned_project  # which needs what the tests need

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
        seconds, figures.worker = timed("harness", "fleet", "work", KEY, *there)
        head, figures.head = timed("harness", "fleet", "run", KEY, *there)
        figures.locks = _locks(project.root)
        reference: float | None = None
        if with_reference:
            shutil.rmtree(project.root / "results" / "runs")
            shutil.rmtree(project.root / ".dvc" / "cache" / "runs")
            project.run("git", "checkout", "-q", "--", "pipelines")  # its lock files know of no run again
            reference, figures.repro = timed("dvc", "repro", f"pipelines/colour-histogram/dvc.yaml:evaluate@{KEY}")
    said = f"CPU: {figures.worker:.1f} s" + (f", dvc repro {figures.repro:.1f} s" if figures.repro else "")
    yield Outcome("fleet, one run", "a worker", seconds, 0.0, "dvc repro", reference, agreement=said)
    yield Outcome("fleet, one run", "the head takes it in", head, 0.0, agreement=f"CPU: {figures.head:.1f} s")
    for count, used in figures.locks.items():
        yield Outcome("fleet, one run", f"a lock of {count} runs", used, 0.0)


def _locks(root: Path) -> dict[int, float]:
    """Return the CPU seconds of writing one run's entries into lock files of that many runs."""
    lock, yaml = root / "pipelines" / "colour-histogram" / "dvc.lock", YAML(typ="safe")
    yaml.default_flow_style = False
    found = {}
    with chdir(root):  # which DVC works from
        workspace = Workspace(root, [Path("dvc.yaml"), Path("pipelines/colour-histogram/dvc.yaml")])
        stages = [stage for name, stage in workspace.stages.items() if name.endswith(f"@{KEY}")]
        before = yaml.load(lock.read_text(encoding="utf-8"))
        entries = {name: entry for name, entry in before["stages"].items() if name.endswith(f"@{KEY}")}
        for count in LOCKS:
            others = {f"{name}-{n}": deepcopy(entry) for n in range(count - 1) for name, entry in entries.items()}
            with lock.open("w", encoding="utf-8") as file:
                yaml.dump({**before, "stages": {**before["stages"], **others}}, file)
            begun = time.process_time()
            stages[0].dvcfile.dump_stages(stages, update_pipeline=False)
            found[count] = time.process_time() - begun
    return found


def _costs(figures: Figures, scheduled: Outcome) -> str:
    rows = [
        ("one tiny run (train, evaluate), data and spec there: `dvc repro`", figures.repro),
        ("the same by `harness fleet work`: clone, look-up, fetch, the same commands, push", figures.worker),
        ("the whole command with which the head takes a run in", figures.head),
    ]
    lines = ["| what | CPU time |", "| :--- | ---: |"]
    lines += [f"| {what} | {seconds:.1f} s |" for what, seconds in rows if seconds is not None]
    loops = " · ".join(f"{1000 * seconds / count:.2f} ms" for count, seconds in figures.loops.items())
    locks = " · ".join(f"{seconds:.2g} s" for seconds in figures.locks.values())
    lines += [
        f"| the head's own loop, per run of {' · of '.join(f'{count:,}' for count in figures.loops)} "
        f"(an engine that answers at once) | {loops} |",
        f"| writing one run's entries into a `dvc.lock` of {' · '.join(map(str, figures.locks))} runs | {locks} |",
        "",
        f"Ray gave {scheduled.size} each, one in {START_EVERY} a start that others wait for, to {scheduled.limit}: "
        f"{scheduled.ours_s:.0f} s, {scheduled.over_limit:.2f} times the {scheduled.limit_s:.0f} s that these would "
        f"take ({scheduled.agreement}, Ray's own included).",
    ]
    if figures.repro is not None:
        more = figures.worker - figures.repro
        lines += [
            "",
            f"So a run costs **{more:.1f} s more** than by `dvc repro`, most of it DVC's start and the look at what is "
            f"known: {more / 6:.1f} % of a run of ten minutes, {more / 36:.2f} % of a run of an hour. It does not grow "
            "with the number of runs: a worker fetches the entries of its own stages, not the cache of runs.",
        ]
    return "\n".join(lines)


def _extrapolated(figures: Figures) -> str:
    hours = RUNS / MACHINES
    most = max(LOCKS)
    per_entry = figures.locks[most] / most
    average = per_entry * RUNS / METHODS / 2
    one_lock = per_entry * RUNS / 2
    loop = figures.loops[RUNS]
    document = Work(item=KEY, owner="a-head-0123abcd", host="machine-042", status="running", every=30, began=now(),
                    updated=now(), stage="train", device="NVIDIA H100", epoch=10, epochs=60, left=2400.0)  # fmt: skip
    size = len(document.model_dump_json())
    return f"""Runs of an hour, {MACHINES} at a time, take {hours:.0f} hours.

- **The head** gives out and takes in a run every {3600 / MACHINES:.0f} s. Its loop takes {loop:.0f} s in all.
- **Lock files** are what grows: DVC reads and writes a method's whole `dvc.lock` for each run,
  {1000 * per_entry:.1f} ms for each run that is in it. With {METHODS} methods of {RUNS // METHODS} runs that is
  {average:.1f} s on average, {average * RUNS / 3600:.1f} hours of one core in {hours:.0f} hours. With all {RUNS:,} runs
  in one method it would be {one_lock:.0f} s each on average, {one_lock * RUNS / 3600:.0f} hours; take such a plan in by
  parts.
- **What workers say**: one document of {size} bytes per worker and `--every` seconds, {MACHINES / 30:.0f} a second with
  30. The head asks for those that are not finished every 15 s.
- **Saved states are what costs**: a ResNet-50's is some 300 MB. {MACHINES} workers that save every 30 s would write
  {MACHINES * 0.3 / 30:.0f} GB/s. State is saved after an epoch, and at most every `--every` seconds: `--every 600`
  makes it {MACHINES * 300 / 600:.0f} MB/s, and a machine that dies costs ten minutes.
- **The remote** gets about 12 objects per run: {12 * RUNS:,}. None is listed as a whole.
- **Ray** keeps tasks that wait in the head's memory; a few kilobytes each.

Two heads at once, or one started again, do not change this: a worker watches for three beats whether another one is at
its run, then leaves it, or takes it over."""


def _starter(with_reference: bool) -> Iterator[Outcome]:
    """Do the starter's runs of this project from nothing with two workers, and with one."""
    listed = subprocess.run(["harness", "list", "pairings", "--starter", "--stages"], cwd=HOME, capture_output=True,
                            text=True, check=True)  # fmt: skip
    keys = [stage.partition("@")[2] for stage in listed.stdout.split()]
    seconds = {workers: with_workers(workers, keys) for workers in ((2, 1) if with_reference else (2,))}
    yield Outcome("fleet, starter", "2 workers", seconds[2], 0.0, "1 worker", seconds.get(1))
    if with_reference:
        body = f"""Written by `python -m benchmarks fleet --size starter`; not edited by hand.

The starter's {len(keys)} runs, with their datasets and from nothing, on this machine's {os.cpu_count()} cores, one
thread each: {seconds[1]:.0f} s by one worker, {seconds[2]:.0f} s by two, **{seconds[1] / seconds[2]:.2f} times** as
fast. Both include Ray's tasks, the clones and the head's taking in."""
        write_section("Two workers beside one, measured", body, PAGE)


def with_workers(workers: int, keys: Sequence[str]) -> float:
    """Return the seconds in which so many workers do runs of this project's commit, from nothing."""
    with tempfile.TemporaryDirectory() as folder:
        project, remote = Path(folder) / "project", Path(folder) / "remote"
        remote.mkdir()
        python = Path(sys.executable).parent

        def call(*command: str, cwd: Path = project) -> None:
            # The environment as it is by then: Ray puts the token of its cluster into it.
            environment = os.environ | {"PYTHONPATH": str(project), "PATH": f"{python}:{os.environ['PATH']}"}
            done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"{' '.join(command)} failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")

        call("git", "clone", "-q", str(HOME), str(project), cwd=HOME)
        call("dvc", "remote", "add", "--default", "lab", str(remote))
        call("git", "-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "-q", "-a", "-m", "A remote")
        with _ray(workers) as ray:
            address = ray.get_runtime_context().gcs_address
            begun = time.perf_counter()
            call(
                "harness", "fleet", "run", *keys, "--address", address, "--gpus-per-run", "0", "--cpus-per-run", "1",
                "--scratch", f"{folder}/scratch",
            )  # fmt: skip
            return time.perf_counter() - begun
