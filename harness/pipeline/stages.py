"""DVC's stages, reproduced one step at a time in one process: what `dvc repro` does, without its cost per call.

Between `begin` and `finish` a stage's command runs, in whatever process and beside whatever others: DVC's lock of the
workspace is held in neither, as in `dvc repro`, and its lock of the stage's outputs all the while. What is written is
what DVC writes, by DVC's own code, so a following `dvc repro` has nothing to do.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from enum import Enum
from pathlib import Path

from dvc.exceptions import DvcException
from dvc.lock import LockError
from dvc.repo import Repo
from dvc.rwlock import rwlock
from dvc.stage import PipelineStage
from dvc.stage.cache import RunCacheNotFoundError

from harness.errors import UserError

STOPS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


class Begun(Enum):
    """What a stage needs."""

    UNCHANGED = "nothing has changed"
    RESTORED = "its outputs come from DVC's cache of runs"
    RUN = "its command is to be run, then `finish` or `release`"
    BUSY = "another process is at work on it"


class Workspace:
    """The DVC repository of a project, and the stages of some of its files."""

    def __init__(self, root: Path, files: Iterable[Path]) -> None:
        os.chdir(root)  # DVC names a stage by its path from the current folder
        logging.getLogger("dvc").setLevel(logging.WARNING)
        logging.getLogger("dvc.progress").setLevel(logging.CRITICAL)  # its bars would run through ours
        self._held: dict[str, ExitStack] = {}
        self._elsewhere: set[str] = set()
        with readable_errors():
            self.repo = Repo(str(root), _wait_for_lock=True)
            loaded = [stage for file in files for stage in self.repo.stage.load_all(str(file))]
        self.stages: dict[str, PipelineStage] = {stage.addressing: stage for stage in loaded}

    def upstream(self) -> dict[str, set[str]]:
        """Return the stages that each one directly depends on."""
        makers = {out.fs_path: name for name, stage in self.stages.items() for out in stage.outs}
        found: dict[str, set[str]] = {}
        for name, stage in self.stages.items():
            found[name] = set()
            for dependency in stage.deps:
                path = dependency.fs_path
                places = [path, *map(str, Path(path).parents)]
                found[name] |= {makers[place] for place in places if place in makers}
                if Path(path).is_dir() or not Path(path).suffix:  # a folder may be made in parts
                    found[name] |= {maker for out, maker in makers.items() if out.startswith(f"{path}{os.sep}")}
        return found

    def command(self, name: str) -> str:
        """Return the command of a stage, for a shell in the folder `folder(name)`."""
        return str(self.stages[name].cmd)

    def environment(self, name: str) -> dict[str, str]:
        """Return what a stage's command finds in its environment: this Python's programs first."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
        return os.environ | {"PATH": path, "DVC_ROOT": self.repo.root_dir, "DVC_STAGE": name}

    def folder(self, name: str) -> str:
        """Return the folder in which a stage's command runs."""
        return str(self.stages[name].wdir)

    def begin(self, name: str) -> Begun:
        """Bring a stage up to date if that takes no running; else remove its outputs and note its dependencies.

        Raises UserError, for example if a dependency is missing.
        """
        with readable_errors(), self.repo.lock:
            if name in self._elsewhere:  # what the other process wrote into the lock file counts
                self.stages[name] = self.stages[name].reload()
            stage = self.stages[name]
            try:
                if not stage.changed():
                    return Begun.UNCHANGED
                held = ExitStack()
                held.enter_context(self._lock([out.fs_path for out in stage.outs]))
            except LockError:
                self._elsewhere.add(name)
                return Begun.BUSY
            with held, undisturbed():
                stage.remove_outs()
                try:
                    self.repo.stage_cache.restore(stage)
                except RunCacheNotFoundError:
                    stage.save_deps()
                    self._held[name] = held.pop_all()
                    return Begun.RUN
                self._record(stage)
                return Begun.RESTORED

    def finish(self, name: str) -> None:
        """Take in the outputs of a stage whose command has succeeded. Raises UserError if one is missing."""
        try:
            with readable_errors(), self.repo.lock, undisturbed():
                self._record(self.stages[name])
        finally:
            self.release(name)

    def release(self, name: str) -> None:
        """Forget a stage whose command has failed or was stopped."""
        held = self._held.pop(name, None)
        if held:
            held.close()

    def _record(self, stage: PipelineStage) -> None:
        """Save the outputs beside the dependencies as they were at the beginning, whatever was edited since."""
        stage.save_outs()
        self.repo.stage_cache.save(stage)
        stage.commit()
        stage.dump(update_pipeline=False)

    def _lock(self, outs: list[str]) -> AbstractContextManager[None]:
        hardlink = self.repo.config["core"].get("hardlink_lock", False)
        command = " ".join(sys.argv)  # as DVC's own locks within `begin` and `finish` say it
        lock: AbstractContextManager[None] = rwlock(self.repo.tmp_dir, self.repo.fs, command, [], outs, hardlink)
        return lock


@contextmanager
def readable_errors() -> Iterator[None]:
    """DVC's own errors are the user's to mend."""
    try:
        yield
    except FileNotFoundError as error:
        raise UserError(f"{error.filename}: is not there, and a stage depends on it") from error
    except (DvcException, OSError) as error:
        raise UserError(f"DVC: {error}") from error


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let signals wait: DVC does not write its lock files atomically."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
