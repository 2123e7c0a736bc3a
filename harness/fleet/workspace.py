"""A project's stages, of which other machines may have done some: known from the remote, fetched only to be read."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dvc.dvcfile import load_file
from dvc.exceptions import DvcException
from dvc.output import Output
from dvc.stage import PipelineStage
from dvc.stage.cache import _get_cache_hash
from dvc.stage.loader import StageLoader
from dvc.stage.serialize import to_single_stage_lockfile

from harness.errors import UserError
from harness.fleet.remote import Remote
from harness.pipeline.stages import Begun, Workspace, readable_errors, undisturbed


class SharedWorkspace(Workspace):
    """A workspace that knows what a remote's cache of runs holds.

    A stage is *known* if its outputs follow from the lock file or from the cache of runs, here or on the remote; its
    data need not be here. What a command reads is fetched when the command is to run. `also_read`: paths that a stage's
    command reads besides the dependencies that it states.
    """

    def __init__(
        self,
        root: Path,
        files: Iterable[Path],
        remote: Remote,
        also_read: Mapping[str, Iterable[Path]] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(root, files)
        self.root, self.remote = root, remote
        self._also_read, self._environment = also_read or {}, environment or {}
        self._makers = {out.fs_path: name for name, stage in self.stages.items() for out in stage.outs}
        self._upstream = self.upstream()
        self._known: dict[str, bool] = {}  # name -> whether something has changed

    def environment(self, name: str) -> dict[str, str]:
        """Return what a stage's command finds in its environment."""
        return {**super().environment(name), **self._environment}

    def begin(self, name: str) -> Begun:
        """Look a stage up; if it is not known, fetch what its command reads, and have it run. Raises UserError."""
        found = self.look(name)
        if found is not None:
            return found
        stage = self.stages[name]
        with self.remote.explained(), readable_errors(), self.repo.lock, undisturbed():
            self._fetch_inputs(name)
            stage.remove_outs()
            stage.save_deps()
        return Begun.RUN

    def finish(self, name: str) -> None:
        """Take in what a command made, and push it. Raises UserError."""
        super().finish(name)
        self._known[name] = True
        self.push(name)

    def look(self, name: str) -> Begun | None:
        """Say whether a stage is known: UNCHANGED, RESTORED (its data need not be here), or None. Raises UserError."""
        if name in self._known:
            return Begun.RESTORED if self._known[name] else Begun.UNCHANGED
        if not all(upstream in self._known for upstream in self._upstream[name]):
            return None
        stage = self.stages[name]
        with self.remote.explained(), readable_errors(), self.repo.lock:
            upstream = [self.stages[other] for other in self._upstream[name]]
            if (
                all(out.hash_info for out in stage.outs)
                and not stage.changed(allow_missing=True, upstream=[*upstream, *self._data_sources(stage)])
                and self._obtainable(out for out in stage.outs if not out.exists)
            ):
                self._known[name] = False
                return Begun.UNCHANGED
            locked = [(dependency, dependency.hash_info, dependency.meta) for dependency in stage.deps]
            if not self._restorable(name):
                for dependency, value, meta in locked:
                    dependency.hash_info, dependency.meta = value, meta
                return None
        self._known[name] = True
        return Begun.RESTORED

    def is_new(self, name: str) -> bool:
        """Whether a known stage's entry or its outputs are not here yet."""
        return self._known[name] or not all(out.exists for out in self.stages[name].outs)

    def collect(self, names: Iterable[str]) -> None:
        """Bring known stages' outputs here and write their entries, each lock file once. Raises UserError."""
        entries: dict[str, list[PipelineStage]] = {}
        with self.remote.explained(), readable_errors(), self.repo.lock, undisturbed():
            for name in names:
                stage = self.stages[name]
                if stage.changed_outs():
                    for out in stage.outs:
                        self._fetch(out)
                if self._known[name]:
                    entries.setdefault(stage.dvcfile.path, []).append(stage)
            for stages in entries.values():  # writing a lock file takes as long as it is long
                stages[0].dvcfile.dump_stages(stages, update_pipeline=False)

    def push(self, name: str) -> None:
        """Put a stage's outputs, and then its entry in the cache of runs, on the remote. Raises UserError."""
        stage = self.stages[name]
        with self.remote.explained(), readable_errors():
            for objects in stage.get_used_objs(push=True).values():
                failed = self.repo.cloud.push(objects, remote=self.remote.name).failed
                if failed:
                    raise UserError(f"{self.remote}: {len(failed)} files of {name} could not be written to it")
            folder = self._runs(stage)
            for entry in sorted(folder.glob("*")) if folder else ():
                path = f"runs/{entry.parent.parent.name}/{entry.parent.name}/{entry.name}"
                if not self.remote.exists(path):
                    self.remote.put(entry, path)

    def push_source(self, path: Path) -> None:
        """Put data that DVC tracks without a stage, like an imported dataset, on the remote. Raises UserError."""
        file = path.with_name(f"{path.name}.dvc")
        if file.exists():
            with self.remote.explained(), readable_errors():
                for objects in load_file(self.repo, str(file)).stage.get_used_objs(push=True).values():
                    self.repo.cloud.push(objects, remote=self.remote.name)

    def _restorable(self, name: str) -> bool:
        """Whether the cache of runs holds the stage, here or on the remote; then its outputs' hashes are known."""
        stage = self.stages[name]
        for dependency in stage.deps:
            maker = self._makers.get(dependency.fs_path)
            if maker is not None:
                made = next(out for out in self.stages[maker].outs if out.fs_path == dependency.fs_path)
                dependency.hash_info, dependency.meta = made.hash_info, made.meta
                continue
            self._fetch_input(Path(dependency.fs_path), name)
            dependency.save()
        folder = self._runs(stage)
        if folder is None:
            return False
        for entry in self.remote.names(f"runs/{folder.parent.name}/{folder.name}"):
            if not (folder / entry).exists():
                self.remote.get(f"runs/{folder.parent.name}/{folder.name}/{entry}", folder / entry)
        entries = sorted(folder.glob("*"), key=lambda path: path.stat().st_mtime)
        found = self.repo.stage_cache._load_cache(folder.name, entries[-1].name) if entries else None
        if not found or not self._there(stage, found):
            return False
        StageLoader.fill_from_lock(stage, found)
        return True

    def _there(self, stage: PipelineStage, entry: Any) -> bool:
        """Whether the outputs of an entry can be had."""
        return self._obtainable(self.repo.stage_cache._create_stage(entry, wdir=stage.wdir).outs)

    def _obtainable(self, outs: Iterable[Output]) -> bool:
        """Whether the objects of outputs are in the cache here or on the remote."""
        far = self.repo.cloud.get_remote_odb(self.remote.name)
        return all(out.cache.exists(out.hash_info.value) or far.exists(out.hash_info.value) for out in outs)

    def _runs(self, stage: PipelineStage) -> Path | None:
        """Return the folder of the local cache of runs for what a stage depends on (DVC's way reads the data)."""
        if not all(dependency.hash_info for dependency in stage.deps):
            return None
        key: str = _get_cache_hash(to_single_stage_lockfile(stage), key=True)
        runs: str = self.repo.stage_cache.cache_dir
        return Path(runs, key[:2], key)

    def _fetch_inputs(self, name: str) -> None:
        """Fetch what a stage's command reads."""
        places = [Path(dependency.fs_path) for dependency in self.stages[name].deps]
        for place in [*places, *(self.root / path for path in self._also_read.get(name, ()))]:
            self._fetch_input(place, name)

    def _fetch_input(self, place: Path, name: str) -> None:
        maker = next((self._makers[path] for path in map(str, (place, *place.parents)) if path in self._makers), None)
        if maker is not None:
            for out in self.stages[maker].outs:
                if self._known.get(maker) or not Path(out.fs_path).exists():
                    self._fetch(out)
        elif not place.exists():
            for source in self._data_sources(self.stages[name]):
                for out in source.outs:
                    self._fetch(out)

    def _data_sources(self, stage: PipelineStage) -> list[Any]:
        """Return what DVC tracks without a stage among a stage's dependencies: `data/raw/NAME.dvc`."""
        files = [Path(f"{dependency.fs_path}.dvc") for dependency in stage.deps]
        return [load_file(self.repo, str(file)).stage for file in files if file.exists()]

    def _fetch(self, out: Output) -> None:
        """Bring an output here, from the cache or the remote. Raises UserError."""
        if out.exists and not out.changed_checksum():
            return
        try:
            for objects in out.get_used_objs(remote=self.remote.name).values():
                self.repo.cloud.pull(objects, remote=self.remote.name)
            if Path(out.fs_path).is_dir():
                shutil.rmtree(out.fs_path)
            out.checkout(force=True)
        except DvcException as error:
            where = os.path.relpath(out.fs_path, self.root)
            raise UserError(f"{self.remote}: {where} cannot be had from it: {error}") from error
