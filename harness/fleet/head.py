"""The head: gives every run that is not up to date to Ray, in the plan's order, and takes in what is finished.

It computes nothing, and it alone writes lock files of DVC. If it is stopped, what is finished stays; started again it
goes on. Two heads at once do no harm: their workers watch each other's documents, and equal runs have equal results.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any, cast

from harness.errors import UserError
from harness.fleet.commit import choose_commit, publish_commit
from harness.fleet.documents import Board, Fleet, fleet_id, now
from harness.fleet.remote import Remote
from harness.fleet.snapshot import write_snapshot
from harness.fleet.versions import differences, versions
from harness.fleet.worker import Job, Result, run_files
from harness.fleet.workspace import SharedWorkspace
from harness.paths import raw_folder
from harness.pipeline.pipelines import evaluate_stage
from harness.pipeline.processes import die_with_parent
from harness.pipeline.running import GRACE_SECONDS, in_order
from harness.specs.pairing import Pairing
from harness.specs.registry import Registry

Say = Callable[[str], None]
RETRIES = 5
"""How often a run is given out anew whose worker or machine died."""
SNAPSHOT_SECONDS = 15.0
"""Between two looks at what all workers say."""
WAIT_SECONDS = 5.0
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Ray sets them for its tasks; how many threads a run has is HARNESS_THREADS' to say, since it can change a bit."""


@dataclass
class Item:
    """A run, or a dataset to prepare: its target stage, and the items that must be finished before it."""

    name: str
    stages: list[str]
    needs: set[str]
    gpus: float
    state: str = "waiting"


@dataclass
class Summary:
    """What became of the items: names, and for failed ones why."""

    unchanged: list[str] = field(default_factory=list)
    restored: list[str] = field(default_factory=list)
    done: dict[str, str] = field(default_factory=dict)  # item -> host
    failed: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)


def prepare(root: Path, remote_name: str, snapshot: bool, owner: str, gpus: float, every: float, scratch: str) -> Job:
    """Put commit and versions on the remote, for workers to find; return what they are told. Raises UserError."""
    remote = Remote.of(root, remote_name)
    remote.check()
    here = versions()
    commit = choose_commit(root, snapshot)
    board = Board(remote, fleet_id(commit, here))
    there = board.versions()
    if there is not None and differences(here, there):
        raise UserError(f"{remote}: {board.folder}/versions.json was altered; delete that folder there")
    publish_commit(root, board, commit)
    if there is None:
        board.publish_versions(here)
    return Job(
        fleet=board.fleet, commit=commit, remote=remote.name, settings=dict(remote.public().settings), gpus=gpus,
        every=every, owner=owner, scratch=scratch,
    )  # fmt: skip


def announce(job: Job, board: Board, items: Sequence[str], engine: str, began: datetime | None = None) -> None:
    """Say on the remote what is given out, and by which engine."""
    fleet = Fleet(
        id=job.fleet, commit=job.commit, owner=job.owner, host=socket.gethostname(), items=tuple(items),
        began=began or now(), updated=now(), engine=engine,
    )  # fmt: skip
    board.announce(fleet)


class Head:
    """The items of one fleet, what is known of them, and what is next."""

    def __init__(self, registry: Registry, pairings: Sequence[Pairing], job: Job, say: Say) -> None:
        self.registry, self.job, self.say = registry, job, say
        self.board = job.board(registry.root)
        files, also_read = run_files(registry, [pairing.key for pairing in pairings])
        self.workspace = SharedWorkspace(registry.root, files, self.board.remote, also_read)
        self.items = self._items(pairings)
        self.summary = Summary()
        self.began = now()

    def _items(self, pairings: Sequence[Pairing]) -> dict[str, Item]:
        upstream = self.workspace.upstream()
        items: dict[str, Item] = {}
        chosen = {pairing.key for pairing in pairings}
        for pairing in pairings:
            data = [name for name in (pairing.source, pairing.target) if name]
            for name in data:
                items.setdefault(name, Item(name, in_order([f"prepare@{name}"], upstream, set()), set(), 0))
            starts = {start.key for start in self.registry.init_pairings(pairing)} & chosen
            order = in_order([evaluate_stage(pairing)], upstream, set())
            items[pairing.key] = Item(pairing.key, order, {*data, *starts}, self.job.gpus)
        starts = {need for item in items.values() for need in item.needs}
        return dict(sorted(items.items(), key=lambda entry: entry[0] not in starts))  # stable: else the plan's order

    def look_up(self) -> None:
        """Find out what is up to date, take in what other fleets have finished, and push what workers will need."""
        known: set[str] = set()
        while more := [i for i in self.items.values() if i.name not in known and i.needs <= known and self._known(i)]:
            for item in more:
                known.add(item.name)
                item.state = "finished"
                (self.summary.restored if self._collect(item) else self.summary.unchanged).append(item.name)
        needed = {need for item in self.items.values() if item.state == "waiting" for need in item.needs}
        for name in sorted(needed):
            if name in known:
                for stage in self.items[name].stages:
                    self.workspace.push(stage)
            elif name in self.registry.datasets:
                self.workspace.push_source(raw_folder(self.registry.root, name))

    def ready(self) -> list[Item]:
        """Return the items whose turn it is."""
        finished = {name for name, item in self.items.items() if item.state == "finished"}
        return [item for item in self.items.values() if item.state == "waiting" and item.needs <= finished]

    def take(self, item: Item, result: Result) -> None:
        """Take in what a worker says of an item; a finished one's outputs and entries come here."""
        if result.outcome == "finished":
            try:
                if not self._known(item):
                    raise UserError(
                        f"{self.board.remote}: its results are not there, or belong to other inputs; run it again"
                    )
                self._collect(item)
            except UserError as error:
                self._lose(item, f"finished on {result.host}, but cannot be taken in: {error}")
                return
            item.state = "finished"
            self.summary.done[item.name] = result.host
            done = sum(one.state == "finished" for one in self.items.values())
            self.say(f"[{done} of {len(self.items)}] {item.name}: finished on {result.host}")
        else:
            self._lose(item, f"on {result.host}: {result.message}" if result.host else result.message)

    def _lose(self, item: Item, why: str) -> None:
        item.state = "failed"
        self.summary.failed[item.name] = why
        self.say(f"{item.name}: failed {why}")
        lost = {item.name}
        while more := [o for o in self.items.values() if o.state == "waiting" and o.needs & lost]:
            for other in more:
                other.state = "skipped"
                lost.add(other.name)
                self.summary.skipped[other.name] = item.name

    def _known(self, item: Item) -> bool:
        return all(self.workspace.look(stage) is not None for stage in item.stages)

    def _collect(self, item: Item) -> bool:
        """Bring an item's outputs and entries here; whether anything was new."""
        new = [stage for stage in item.stages if self.workspace.is_new(stage)]
        self.workspace.collect(new)
        return bool(new)

    def announce(self, engine: str) -> None:
        """Say on the remote what is given out."""
        announce(self.job, self.board, list(self.items), engine, self.began)

    def refresh(self) -> None:
        """Say in `results/fleet.json` how far everybody is."""
        with suppress(UserError):  # it is only shown
            write_snapshot(self.registry.root, self.board)


def run_on_ray(
    head: Head, address: str | None, cpus: float, worker: Callable[[str, str], str] | None = None
) -> Summary:
    """Give out what is not up to date as tasks of Ray, and take in what they finish. `worker` stands in for the real.

    Raises UserError if the cluster cannot be reached or has no such resources; KeyboardInterrupt after telling every
    worker to stop.
    """
    ray = _ray()
    with _connected(ray, address):
        _check_resources(ray, head, cpus)
        remote = ray.remote(max_retries=RETRIES)(worker or run_worker)
        return Loop(ray, head, remote, cpus).summary()


class Loop:
    """Gives out what is ready, and hands the head what is finished, until nothing is left."""

    def __init__(self, ray: Any, head: Head, task: Any, cpus: float) -> None:
        self.ray, self.head, self.task, self.cpus = ray, head, task, cpus
        self.running: dict[Any, Item] = {}
        self.later: dict[str, float] = {}
        self.shown = 0.0

    def summary(self) -> Summary:
        self.head.announce("ray")
        try:
            while True:
                self._submit()
                if not self.running and not self.later:
                    return self.head.summary
                self._wait()
        except KeyboardInterrupt:
            self._stop()
            raise
        finally:
            self.head.refresh()

    def _submit(self) -> None:
        for name in [name for name, due in self.later.items() if time.monotonic() >= due]:
            del self.later[name]
            self.head.items[name].state = "waiting"
        for item in self.head.ready():
            item.state = "given out"
            options = {"num_cpus": self.cpus, "num_gpus": item.gpus, "name": item.name}
            job = self.head.job.model_copy(update={"gpus": item.gpus})
            self.running[self.task.options(**options).remote(job.model_dump_json(), item.name)] = item

    def _wait(self) -> None:
        if time.monotonic() - self.shown > SNAPSHOT_SECONDS:
            self.head.refresh()
            self.shown = time.monotonic()
        if not self.running:
            time.sleep(0.2)
            return
        finished, _ = self.ray.wait(list(self.running), num_returns=1, timeout=WAIT_SECONDS)
        if finished:  # all that are, not only the first
            finished, _ = self.ray.wait(list(self.running), num_returns=len(self.running), timeout=0)
        for reference in finished:
            item = self.running.pop(reference)
            result = self._result(reference)
            if result.outcome == "elsewhere":
                self.later[item.name] = time.monotonic() + self.head.job.every
            else:
                self.head.take(item, result)

    def _result(self, reference: Any) -> Result:
        try:
            return Result.model_validate_json(self.ray.get(reference))
        except self.ray.exceptions.RayError as error:
            said = str(error).strip().splitlines()
            return Result(
                outcome="failed", message=f"its worker was lost {RETRIES + 1} times: {said[0] if said else error!r}"
            )

    def _stop(self) -> None:
        """Tell every worker to stop; each saves its state on the remote."""
        self.head.say("telling the workers to save and stop")
        for reference in self.running:
            self.ray.cancel(reference, force=False, recursive=False)
        with suppress(Exception):
            self.ray.wait(list(self.running), num_returns=len(self.running), timeout=2 * GRACE_SECONDS)


def run_worker(job: str, item: str) -> str:
    """Work on an item in a process of its own (a task of Ray), a new one if it is killed; return its result as JSON."""
    for _ in range(RETRIES):
        code, said = _worker_process(job, item)
        if code >= 0:
            break
    if code == 0 and said:
        return said
    why = f"its worker was killed by {signal.Signals(-code).name}" if code < 0 else f"its worker ended with {code}"
    return Result(outcome="failed", host=socket.gethostname(), message=why).model_dump_json()


def _worker_process(job: str, item: str) -> tuple[int, str]:
    """Run a worker to its end; return its exit code and the last line that it wrote."""
    environment = {name: value for name, value in os.environ.items() if name not in THREADS}
    process = subprocess.Popen(
        [sys.executable, "-c", "from harness.start import main; main()", "fleet", "work", item, "--job", "-"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True,
        preexec_fn=die_with_parent,
    )  # fmt: skip
    told, heard = cast(IO[str], process.stdin), cast(IO[str], process.stdout)
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(heard), daemon=True)
    reader.start()
    try:
        with suppress(BrokenPipeError):
            told.write(job)
            told.close()
        while process.poll() is None:
            time.sleep(0.05)  # a call that only waits would not notice that Ray wants to cancel it
    except BaseException:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(2 * GRACE_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        raise
    reader.join()
    return process.returncode, lines[-1].strip() if lines else ""


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise UserError("Ray is not installed; pip install -e '.[fleet]'") from None
    return ray


@contextmanager
def _connected(ray: Any, address: str | None) -> Iterator[None]:
    if ray.is_initialized():  # the caller's cluster
        yield
        return
    ours = signal.getsignal(signal.SIGTERM)
    try:
        _knock(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, configure_logging=False)
    except (ConnectionError, ValueError, RuntimeError, OSError, TimeoutError) as error:
        said = str(error).strip().splitlines()
        where = f"no Ray cluster can be reached at {address!r}" if address else "Ray cannot be started here"
        hint = "see `ray status`, `ray start --head`"
        if address:
            hint += "; one that asks for a token needs RAY_AUTH_MODE=token here, too"
        raise UserError(f"{where}: {said[0] if said else error!r}; {hint}") from error
    finally:
        signal.signal(signal.SIGTERM, ours)  # Ray's own would leave the workers at work
    try:
        yield
    finally:
        ray.shutdown()


def _knock(address: str | None) -> None:
    """Raise OSError if nobody listens at an address with a port: Ray would try for minutes."""
    host, colon, port = (address or "").rpartition("://")[2].rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


def _check_resources(ray: Any, head: Head, cpus: float) -> None:
    """Raise UserError if no machine could ever take a run: Ray would wait for one forever."""
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    gpus = max((item.gpus for item in head.items.values() if item.state == "waiting"), default=0)
    if any(machine.get("GPU", 0) >= gpus and machine.get("CPU", 0) >= cpus for machine in machines):
        return
    listed = "; ".join(f"{machine.get('CPU', 0):g} CPUs, {machine.get('GPU', 0):g} GPUs" for machine in machines)
    raise UserError(
        f"no machine of the cluster has {cpus:g} CPUs and {gpus:g} GPUs for a run (there are: {listed or 'none'}); "
        "see --cpus-per-run and --gpus-per-run (0: train on CPUs)"
    )


def owner() -> str:
    """Return a name for this head, which no other has."""
    return f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}"
