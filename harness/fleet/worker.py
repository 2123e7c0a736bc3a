"""A worker: some runs of one commit, each in a throw-away clone, to the shared remote and nowhere else.

It needs no other machine to be there. SIGTERM saves and leaves, and whoever takes the run up goes on from the last
state that reached the remote; a worker that dies without a word leaves that, too.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.fleet.commit import throw_away_clone
from harness.fleet.documents import SILENT, Board, Outcome, Work, now
from harness.fleet.remote import Remote
from harness.fleet.versions import differences, versions
from harness.fleet.workspace import SharedWorkspace
from harness.paths import PIPELINES, prepared_folder, run_folder, work_file
from harness.pipeline.attempts import attempts, read_attempt
from harness.pipeline.code import HOME
from harness.pipeline.command import TAIL_LINES
from harness.pipeline.pipelines import evaluate_stage
from harness.pipeline.plan import with_inits
from harness.pipeline.running import in_order, reproduce
from harness.specs.base import Frozen
from harness.specs.pairing import KEY, Pairing, parse_key
from harness.specs.registry import Registry

Say = Callable[[str], None]
CLOCK_SECONDS = 60
"""By so much a clock may differ from the remote's before it is worth a word."""
FREE_BYTES = 200 * 2**20
"""What a worker's disk must have left before it begins."""


class Job(Frozen):
    """What a worker is told; the same for all of a fleet."""

    fleet: str
    commit: str
    remote: str
    settings: dict[str, str | int | bool]
    gpus: float = 0
    every: float = 30
    owner: str
    scratch: str = ""

    def board(self, root: Path = HOME) -> Board:
        """Return where the fleet's documents lie, opened with the credentials of this machine's checkout at `root`."""
        return Board(Remote.with_credentials(self.remote, self.settings, root), self.fleet)

    def scratch_folder(self) -> Path:
        """Return where this machine keeps the clones and the cache that they share."""
        return Path(self.scratch or Path(tempfile.gettempdir()) / f"harness-fleet-{os.getuid()}").absolute()


class Result(Frozen):
    """What came of an item: where, and if nothing did, why."""

    outcome: Outcome
    host: str = ""
    message: str = ""


class RefusedError(UserError):
    """A machine cannot do the work."""


def work(job: Job, item: str, say: Say) -> Result:
    """Reproduce a run, or prepare a dataset, unless that is done or another worker is at it; return what came of it.

    Raises KeyboardInterrupt when told to stop: then the last state is saved on the remote.
    """
    host = socket.gethostname()
    try:
        board = job.board()
        _check_machine(job, board)
        with throw_away_clone(board, job.commit, job.scratch_folder(), _dvc_settings(job, board.remote)) as clone:
            return _Clone(job, board, clone, item, say).result()
    except RefusedError as error:
        return Result(outcome="refused", host=host, message=str(error))
    except UserError as error:
        return Result(outcome="failed", host=host, message=str(error))
    except OSError as error:
        return Result(outcome="failed", host=host, message=f"{error.filename or 'a file'}: {error.strerror or error}")


def _check_machine(job: Job, board: Board) -> None:
    """Raise RefusedError if this machine cannot compute what the others do."""
    wanted = board.versions()
    if wanted is None:
        raise UserError(f"{board.remote}: has no fleet {board.fleet}; `harness fleet run` or `slurm` prepares one")
    different = differences(versions(), wanted)
    if different:
        raise RefusedError(f"other versions than the fleet's: {different}; install the lock's here: make")
    scratch = job.scratch_folder()
    try:
        scratch.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(scratch).free
    except OSError as error:
        raise RefusedError(f"{scratch}: cannot be written: {error.strerror}; name another --scratch") from None
    if free < FREE_BYTES:
        raise RefusedError(
            f"{scratch}: its disk is full ({free / 2**20:.0f} MiB left); free some space or name another --scratch"
        )
    if job.gpus:
        found = _gpus()
        if found < job.gpus:
            raise RefusedError(f"a run needs {job.gpus:g} GPUs, torch sees {found} here; `harness doctor` says more")


def _gpus() -> int:
    code = "import torch; print(torch.cuda.device_count() if torch.cuda.is_available() else 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return int(done.stdout) if done.returncode == 0 and done.stdout.strip().isdigit() else 0


def _begin(job: Job, board: Board, item: str, say: Say) -> Work | None:
    """Return the document of work that begins now; None if another worker is at it.

    Two that begin at the same moment both do it: that is wasted, not wrong.
    """
    before = board.work(item)
    if before and before.status == "running" and before.owner != job.owner:
        say(f"{item}: {before.host} is at it; watching whether it still is")
        deadline = time.monotonic() + SILENT * before.every
        while time.monotonic() < deadline:
            time.sleep(min(1.0, before.every / 4))
            current = board.work(item)
            if current is None or current.status != "running":
                break
            if (current.owner, current.beat) != (before.owner, before.beat):
                return None
    return _document(job, item)


def _document(job: Job, item: str) -> Work:
    here, at = socket.gethostname(), now()
    return Work(item=item, owner=job.owner, host=here, status="running", every=job.every, began=at, updated=at)


def _dvc_settings(job: Job, shared: Remote) -> dict[str, Any]:
    """DVC's settings of a clone: one cache for all clones on this machine, files linked where the disk can."""
    cache = {"dir": str(job.scratch_folder() / "cache"), "type": "reflink,hardlink,copy"}
    remote = {
        name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in shared.settings.items()
    }
    return {"core": {"remote": job.remote, "analytics": "false"}, "cache": cache, f'remote "{job.remote}"': remote}


class _Clone:
    """A clone in which an item is done, and before it what it needs: the display of the stages' progress, too."""

    def __init__(self, job: Job, board: Board, clone: Path, item: str, say: Say) -> None:
        self.job, self.board, self.clone, self.item, self.say = job, board, clone, item, say
        self.document = _document(job, item)
        self.is_run = False
        self.begun, self.spoke = time.monotonic(), 0.0
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self.saved: float | None = None
        self._link_weights()
        registry = Registry.load(clone)
        files, also_read = run_files(registry, [item] if KEY.fullmatch(item) else [])
        environment = {"PYTHONPATH": _path(clone), "HARNESS_DEVICE": "cuda" if job.gpus else "cpu"}
        self.workspace = SharedWorkspace(clone, files, board.remote, also_read, environment)
        self.upstream = self.workspace.upstream()
        self.items = [*_needed(registry, item), item] if KEY.fullmatch(item) else [item]

    def result(self) -> Result:
        """Do the item, and before it what it needs and nobody has done. Raises KeyboardInterrupt if told to stop."""
        for item in self.items:
            order = in_order([_target(item)], self.upstream, set())
            if item != self.item and all(self.workspace.look(stage) is not None for stage in order):
                continue
            begun = _begin(self.job, self.board, item, self.say)
            if begun is None:
                return Result(outcome="elsewhere", host=self.document.host, message=f"another worker is at {item}")
            result = self._do(begun, order)
            if result.outcome != "finished":
                return result
        return result

    def _do(self, begun: Work, order: Sequence[str]) -> Result:
        self.document, self.is_run, self.saved = begun, bool(KEY.fullmatch(begun.item)), None
        self.begun = time.monotonic()
        try:
            self._speak()
            self._measure_clock()
            self._fetch_state()
            outcome = reproduce(self.workspace, order, [{}], self)
        except KeyboardInterrupt:
            self._save_state()
            self._speak(status="interrupted", message="told to stop; the next worker resumes it")
            raise
        except UserError as error:
            self._close("failed", str(error))
            return Result(outcome="failed", host=begun.host, message=str(error))
        if outcome.failed:
            stage, tail = next(iter(outcome.failed.items()))
            said = f"{_short(stage)}: {(tail[-1] if tail else 'no word').removeprefix('error: ')}"
            self._close("failed", said)
            return Result(outcome="failed", host=begun.host, message=said)
        self._close("finished", "")
        if self.is_run:
            self.board.remote.remove(self.board.state(begun.item))
        return Result(outcome="finished", host=begun.host)

    def _link_weights(self) -> None:
        """Published weights lie beside this machine's own checkout: they are in no commit."""
        weights = HOME / "data" / "weights"
        if weights.is_dir():
            (self.clone / "data").mkdir(exist_ok=True)
            (self.clone / "data" / "weights").symlink_to(weights)

    def _measure_clock(self) -> None:
        """Compare this clock with that of the remote, if it has one, for the times that are shown."""
        written = self.board.remote.written(f"{self.board.folder}/work/{self.document.item}.json")
        if written is not None:
            ahead = (self.document.updated - written).total_seconds()
            self.document = self.document.model_copy(update={"ahead": ahead})
            if abs(ahead) > CLOCK_SECONDS:
                where = "ahead of" if ahead > 0 else "behind"
                self.say(f"this machine's clock is {abs(ahead):.0f} s {where} the remote's; times shown allow for it")

    def _fetch_state(self) -> None:
        if self.is_run and self.board.remote.get(
            self.board.state(self.document.item), work_file(self.clone, self.document.item)
        ):
            self.saved = work_file(self.clone, self.document.item).stat().st_mtime

    def _save_state(self) -> None:
        """Put the unfinished run's state on the remote, if it is newer than what is there."""
        file = work_file(self.clone, self.document.item)
        with suppress(FileNotFoundError):
            written = file.stat().st_mtime
            if self.is_run and written != self.saved:
                self.board.remote.put(file, self.board.state(self.document.item))
                self.saved = written

    def _close(self, status: str, message: str) -> None:
        with suppress(UserError):  # what came of the work is known already; the remote may be what failed
            self._speak(status=status, message=message)

    def _speak(self, **changes: Any) -> None:
        """Say on the remote how far the work is."""
        known = {"beat": self.document.beat + 1, "updated": now(), "seconds": time.monotonic() - self.begun}
        if self.is_run and self.clone.exists() and (paths := attempts(self.clone, self.document.item)):
            with suppress(UserError):
                attempt = read_attempt(paths[-1])
                left = None
                if attempt.epoch and attempt.stage == "train":
                    left = attempt.seconds / attempt.epoch * (attempt.epochs - attempt.epoch)
                known |= {
                    "stage": attempt.stage, "device": attempt.device, "epoch": attempt.epoch, "epochs": attempt.epochs,
                    "left": left,
                }  # fmt: skip
        if changes.get("status") == "failed":
            known["tail"] = tuple(self.tail)
        self.document = self.document.model_copy(update={**known, **changes})
        self.board.say(self.document)
        self.spoke = time.monotonic()

    def began(self, stage: str, slot: int) -> None:
        """A stage's command has begun."""
        self.say(f"{self.document.item}: {_short(stage)} begins on {self.document.host}")
        self.document = self.document.model_copy(update={"stage": _short(stage).partition(" ")[0]})

    def said(self, stage: str, line: str) -> None:
        """A stage's command wrote a line."""
        self.tail.append(line)
        self.say(line)

    def ended(self, stage: str, outcome: str) -> None:
        """A stage is done with."""
        if outcome in ("failed", "skipped"):
            self.say(f"{self.document.item}: {_short(stage)}: {outcome}")

    def glance(self) -> None:
        """Time has passed."""
        if time.monotonic() - self.spoke < self.job.every:
            return
        try:
            self._save_state()
            self._speak()
        except UserError as error:  # hours of training need not end because the remote is away for a moment
            self.spoke = time.monotonic()
            self.say(f"{self.document.item}: goes on without a word: {error}")


def _needed(registry: Registry, key: str) -> list[str]:
    """Return the datasets that a run needs, and the runs that it starts from, each after what it needs itself."""
    found: dict[str, None] = {}

    def visit(pairing: Pairing) -> None:
        found.update(dict.fromkeys(name for name in (pairing.source, pairing.target) if name))
        for start in registry.init_pairings(pairing):
            visit(start)
            found[start.key] = None

    visit(parse_key(key))
    return list(found)


def _target(item: str) -> str:
    """Return the stage that makes an item."""
    return evaluate_stage(parse_key(item)) if KEY.fullmatch(item) else f"prepare@{item}"


def run_files(registry: Registry, keys: Sequence[str]) -> tuple[list[Path], dict[str, list[Path]]]:
    """Return the pipelines of runs and of what they start from, and what their evaluation reads besides its record."""
    pairings = with_inits(registry, [parse_key(key) for key in keys])
    methods = dict.fromkeys(pairing.method for pairing in pairings)
    also_read = {}
    for pairing in pairings:
        run = run_folder(Path(), pairing.key)
        data = prepared_folder(Path(), pairing.target) / "info.json"
        also_read[evaluate_stage(pairing)] = [data, run / "checkpoint.safetensors", run / "history.csv"]
    return [Path("dvc.yaml"), *(PIPELINES / name / "dvc.yaml" for name in methods)], also_read


def work_on(job: Job, items: Sequence[str], say: Say) -> list[str]:
    """Work on items one after the other, those that others are at last; return what could not be done, a line each."""
    pending, failures = deque(items), []
    waiting = 0
    while pending:
        item = pending.popleft()
        result = work(job, item, say)
        if result.outcome == "elsewhere":
            pending.append(item)
            waiting += 1
            if waiting >= len(pending):
                time.sleep(job.every)
                waiting = 0
            continue
        waiting = 0
        say(f"{item}: {result.outcome}" + (f": {result.message}" if result.message else ""))
        if result.outcome == "refused":
            raise UserError(f"{result.host}: {result.message}")
        if result.outcome != "finished":
            failures.append(f"{item}: {result.message}")
    return failures


def _path(clone: Path) -> str:
    """The clone's own code comes before that of this machine's checkout."""
    return os.pathsep.join([str(clone), *filter(None, [os.environ.get("PYTHONPATH")])])


def _short(stage: str) -> str:
    return stage.rpartition(":")[2].replace("@", " ")
