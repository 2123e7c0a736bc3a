"""The train stage: one pairing, from its specs and prepared datasets to a checkpoint, a history and a record."""

from __future__ import annotations

import csv
import hashlib
import io
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from harness.errors import UserError
from harness.evaluation import PROTOCOL
from harness.inputs.json import sealed
from harness.learning import ranks
from harness.learning.algorithm import algorithm_class
from harness.learning.device import choose_device
from harness.learning.extract import Embedder
from harness.learning.loop import EpochDone, run_epochs
from harness.learning.optim import rate_factor
from harness.learning.out_of_memory import explained
from harness.learning.pseudo import LABELS, SEARCH, SILHOUETTE
from harness.learning.state import CheckpointWriter, RunState, write_tensors
from harness.paths import run_folder, work_file, write_text
from harness.pipeline.attempts import attempt
from harness.pipeline.code import code_hash, code_version
from harness.pipeline.machine import hardware, peak_memory_gib, versions
from harness.pipeline.records import HISTORY_COLUMNS, Record, Weights
from harness.pipeline.training import resume, selection
from harness.pipeline.training.evaluator import Evaluator
from harness.pipeline.training.inputs import Inputs, gather
from harness.pipeline.training.resume import Progress
from harness.specs.method import ResolvedMethod
from harness.specs.pairing import Pairing
from harness.specs.registry import Registry
from harness.specs.resolve import fingerprint

Say = Callable[[str], None]


def train(registry: Registry, pairing: Pairing, say: Say, devices: int = 1) -> Path:
    """Run `pairing` to its last epoch and return its folder. An interrupted run continues where it stopped.

    With several devices this command runs once for each; the first speaks and writes. Raises UserError for whatever
    the user can mend; the attempt's document then holds the reason.
    """
    method = registry.resolved(pairing)
    device = choose_device()
    if devices > 1:
        ranks.check(method.compute, devices)
        device = ranks.launch(devices, device)
    if not ranks.is_first():
        return _follow(registry, pairing, method, device)
    spec_hash = fingerprint(method.model_dump(mode="json"))
    name = hardware(device).device
    with (
        attempt(registry.root, pairing.key, "train", spec_hash, name, method.compute.epochs) as log,
        explained(method.compute, device),
    ):
        try:
            session = _Session(registry.root, gather(registry, pairing, method), device, say)
            session.run(log.progress)
            return session.write(spec_hash)
        except BaseException:
            ranks.stop()
            raise


def _follow(registry: Registry, pairing: Pairing, method: ResolvedMethod, device: torch.device) -> Path:
    """Train as one of the other ranks. What the user can mend, the first rank says."""
    try:
        session = _Session(registry.root, gather(registry, pairing, method), device, lambda line: None)
        session.run(lambda epoch: None)
    except (UserError, KeyboardInterrupt) as error:
        raise SystemExit(0) from error
    return run_folder(registry.root, pairing.key)


class _Session:
    """One attempt at a run: what it needs at hand between its start and its last file."""

    def __init__(self, root: Path, inputs: Inputs, device: torch.device, say: Say) -> None:
        self.root, self.inputs, self.device, self.say = root, inputs, device, say
        self.key, self.compute = inputs.pairing.key, inputs.method.compute
        self.evaluator = Evaluator(inputs.target, device, inputs.normalization)
        self.state, self.progress, self.writer = RunState(), Progress(), CheckpointWriter(device)
        self.identity = inputs.identity(device)
        algorithm = algorithm_class(inputs.method.algorithm, f"method {inputs.pairing.method}")
        self.context = inputs.context(device, self.state, self.progress.notes)
        self.labels_before: npt.NDArray[np.int64] | None = None
        self.algorithm = algorithm(self.context, algorithm.Params.model_validate(inputs.method.params))

    def run(self, report: Callable[[int], None]) -> None:
        """Restore an earlier attempt's state if it fits, then train to the last epoch."""
        self._resume()
        begun, first = time.perf_counter(), len(self.progress.rows)

        def observe(done: EpochDone) -> None:
            if not ranks.is_first():
                return
            self.progress.rows.append(self._row(done))
            left = (self.compute.epochs - done.epoch) * (time.perf_counter() - begun) / (done.epoch - first)
            self.say(_line(self.key, self.compute.epochs, self.progress.rows[-1], left))
            if done.epoch < self.compute.epochs:  # after the last one the run's own files follow at once
                resume.save(self.writer, work_file(self.root, self.key), self.state, self.progress, self.identity)
            report(done.epoch)

        try:
            run_epochs(self.algorithm, observe)
        finally:
            self.writer.finish()

    def write(self, spec_hash: str) -> Path:
        """Write the run's files, each atomically, then forget the unfinished state."""
        folder = run_folder(self.root, self.key)
        metadata = {"key": self.key, "method": self.inputs.method.model_dump_json()}
        checkpoint = write_tensors(self.algorithm.export(), folder / "checkpoint.safetensors", metadata)
        history = _csv(self.progress.rows)
        write_text(folder / "history.csv", history)
        record = self._record(spec_hash, checkpoint, hashlib.sha256(history.encode()).hexdigest())
        write_text(folder / "record.json", sealed(record))
        resume.forget(work_file(self.root, self.key))
        return folder

    def _resume(self) -> None:
        said = resume.restore(work_file(self.root, self.key), self.state, self.progress, self.identity)
        if said:
            self.say(f"{self.key}: {said}")
        if LABELS in self.state.tensors:
            self.labels_before = self.state.tensors[LABELS].numpy()

    def _row(self, done: EpochDone) -> dict[str, Any]:
        compute = self.compute
        row: dict[str, Any] = dict.fromkeys(HISTORY_COLUMNS)
        row |= {"epoch": done.epoch, "loss": done.losses.get("total"), "seconds": done.seconds}
        row |= {f"loss_{name}": value for name, value in done.losses.items() if name != "total"}
        factor = rate_factor(compute, done.epoch)
        row["learning_rate"] = compute.optimizer.learning_rate * factor
        row["images_per_second"] = done.images / done.seconds
        self.progress.images += done.images
        self.progress.training_seconds += done.seconds
        if LABELS in self.state.tensors:
            labels = self.state.tensors[LABELS].numpy()
            row |= self.evaluator.label_quality(labels)
            row |= self.evaluator.label_free(labels, self.state.values[SILHOUETTE], self.labels_before)
            self.labels_before = labels
            selection.consider(self.state, row, self.algorithm.export)
        due = done.epoch % compute.evaluate_every == 0 or done.epoch == compute.epochs
        if due and self.evaluator.has_test:
            scores = self.evaluator.scores(self._embedder(self.algorithm.export()))
            row |= {"target_map": 100 * scores.map, "target_rank1": 100 * scores.cmc[1]}
        return row

    def _embedder(self, tensors: Mapping[str, Tensor]) -> Embedder:
        return self.algorithm.embedder(self.compute, tensors, self.device)

    def _record(self, spec_hash: str, checkpoint_sha256: str, history_sha256: str) -> Record:
        inputs, progress = self.inputs, self.progress
        method, pairing = inputs.method, inputs.pairing
        chosen = selection.chosen_epoch(self.state, progress.rows, self.evaluator, self._embedder)
        progress.measure()
        return Record(
            key=pairing.key, method=pairing.method, setting=method.setting, source=pairing.source,
            target=pairing.target, seed=pairing.seed, regime=inputs.regime,
            spec=method.model_dump(mode="json"), spec_hash=spec_hash, code_version=code_version(self.root),
            code_hash=code_hash(method),
            data_hashes=inputs.data_hashes, protocol=PROTOCOL, input=inputs.input,
            init=tuple(start.name for start in inputs.starts) or (str(method.init),),
            weights=next((Weights(**start.file._asdict()) for start in inputs.starts if start.file), None),
            init_sha256=tuple(start.sha256 for start in inputs.starts),
            bn_groups=method.compute.network.bn_groups, precision=method.compute.precision,
            hardware=hardware(self.device), versions=versions(), started=datetime.fromisoformat(progress.started),
            seconds=progress.seconds, cpu_seconds=progress.cpu_seconds,
            gpu_seconds=progress.seconds if self.device.type == "cuda" else 0.0,
            peak_memory_gib=peak_memory_gib(self.device),
            images_per_second=progress.images / progress.training_seconds if progress.training_seconds else None,
            train_cameras=inputs.has_cameras and self.context.cameras_used, chosen_without_labels=chosen,
            epochs=method.compute.epochs, neighbours=self.state.values.get(SEARCH), resumed=progress.resumed,
            checkpoint_sha256=checkpoint_sha256, history_sha256=history_sha256, notes=tuple(progress.notes),
        )  # fmt: skip


def _csv(rows: list[dict[str, Any]]) -> str:
    extra = [name for row in rows for name in row if name not in HISTORY_COLUMNS]
    out = io.StringIO()
    writer = csv.DictWriter(out, [*HISTORY_COLUMNS, *dict.fromkeys(extra)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _line(key: str, epochs: int, row: dict[str, Any], left: float) -> str:
    """One line of progress for a log; `left`: seconds that the rest will take, going by the epochs so far."""
    parts = [f"{key}: epoch {row['epoch']}/{epochs}"]
    if row["loss"] is not None:
        parts.append(f"loss {row['loss']:.3f}")
    if row["clusters"] is not None:
        parts.append(f"{row['clusters']} clusters, {100 * row['outliers']:.0f} % outliers")
    if row["target_map"] is not None:
        parts.append(f"mAP {row['target_map']:.1f}, Rank-1 {row['target_rank1']:.1f}")
    parts.append(f"{row['seconds']:.1f} s")
    if row["epoch"] < epochs:
        parts.append(f"about {left:.0f} s to go" if left < 120 else f"about {left / 60:.0f} min to go")
    return " · ".join(parts)
