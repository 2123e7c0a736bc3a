"""The train stage: one pairing, from its specs and prepared datasets to a checkpoint, a history and a record."""

from __future__ import annotations

import csv
import importlib
import io
import json
import resource
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harness.data.prepared import Prepared, open_prepared
from harness.evaluation import PROTOCOL
from harness.learning.algorithm import Algorithm, RunContext
from harness.learning.data import LabeledSet, UnlabeledSet
from harness.learning.device import choose_device
from harness.learning.loop import EpochDone, run_epochs
from harness.learning.optim import rate_factor
from harness.learning.out_of_memory import explained
from harness.learning.pretrained import imagenet_tensors
from harness.learning.pseudo import LABELS, SEARCH
from harness.learning.state import CheckpointWriter, RunState, read_tensors, write_tensors
from harness.paths import prepared_folder, run_folder, work_file, write_text
from harness.pipeline.attempts import attempt
from harness.pipeline.code import algorithm_hash, shared_code_hash
from harness.pipeline.machine import code_version, hardware, peak_memory_gib, versions
from harness.pipeline.records import HISTORY_COLUMNS, Record
from harness.pipeline.training.evaluator import Evaluator
from harness.specs.method import ResolvedMethod
from harness.specs.pairing import Pairing
from harness.specs.registry import Registry
from harness.specs.resolve import fingerprint

Say = Callable[[str], None]


def train(registry: Registry, pairing: Pairing, say: Say) -> Path:
    """Run `pairing` to its last epoch and return its folder. An interrupted run continues where it stopped.

    Raises UserError for whatever the user can mend; the attempt's document then holds the reason.
    """
    method = registry.resolved(pairing)
    device = choose_device()
    spec_hash = fingerprint(method.model_dump(mode="json"))
    name = hardware(device).device
    with (
        attempt(registry.root, pairing.key, "train", spec_hash, name, method.compute.epochs) as log,
        explained(method.compute, device),
    ):
        session = _Session(registry, pairing, method, device, say)
        session.run(log.progress)
        return session.write(spec_hash)


class _Session:
    """One attempt at a run: what it needs at hand between its start and its last file."""

    def __init__(
        self, registry: Registry, pairing: Pairing, method: ResolvedMethod, device: torch.device, say: Say
    ) -> None:
        self.root, self.pairing, self.method, self.device, self.say = registry.root, pairing, method, device, say
        self.regime = registry.dataset(pairing.target).regime
        self.inits = registry.init_pairings(pairing)
        target = open_prepared(prepared_folder(self.root, pairing.target))
        source = open_prepared(prepared_folder(self.root, pairing.source)) if pairing.source else None
        self.data_hashes = {data.name: data.data_hash for data in (target, source) if data}
        self.evaluator = Evaluator(target, device)
        self.state, self.writer = RunState(), CheckpointWriter(device)
        self.notes: list[str] = []
        self.started = datetime.now(UTC)
        self.earlier = {"seconds": 0.0, "cpu_seconds": 0.0, "resumed": 0, "images": 0, "training_seconds": 0.0}
        self.rows: list[dict[str, Any]] = []
        self._wall, self._cpu = time.perf_counter(), _cpu_seconds()
        module, class_name = method.algorithm.split(":")
        algorithm: type[Algorithm] = getattr(importlib.import_module(module), class_name)
        context = RunContext(
            compute=method.compute, seed=pairing.seed, device=device, state=self.state, notes=self.notes,
            source=_labeled(source or target, device) if method.setting in ("supervised", "uda") else None,
            target=_unlabeled(target, device) if method.setting in ("usl", "uda") else None,
            init=self._init_tensors(),
        )  # fmt: skip
        self.identity = self._identity()
        self.algorithm = algorithm(context, algorithm.Params.model_validate(method.params))

    def run(self, progress: Callable[[int], None]) -> None:
        """Restore an earlier attempt's state if it fits, then train to the last epoch."""
        self._resume()
        epochs = self.method.compute.epochs

        def observe(done: EpochDone) -> None:
            self.rows.append(self._row(done))
            self.say(_line(self.pairing.key, epochs, self.rows[-1]))
            self._checkpoint()
            progress(done.epoch)

        try:
            run_epochs(self.algorithm, observe)
        finally:
            self.writer.finish()

    def write(self, spec_hash: str) -> Path:
        """Write the run's files, each atomically, then forget the unfinished state."""
        folder = run_folder(self.root, self.pairing.key)
        metadata = {"key": self.pairing.key, "method": self.method.model_dump_json()}
        write_tensors(self.algorithm.export(), folder / "checkpoint.safetensors", metadata)
        write_text(folder / "history.csv", _csv(self.rows))
        write_text(folder / "record.json", self._record(spec_hash).model_dump_json(indent=2) + "\n")
        work_file(self.root, self.pairing.key).unlink(missing_ok=True)
        return folder

    def _init_tensors(self) -> tuple[dict[str, Tensor], ...]:
        if self.method.init == "imagenet":
            return (imagenet_tensors(self.method.compute.network, self.root),)
        return tuple(read_tensors(run_folder(self.root, init.key) / "checkpoint.safetensors")[0] for init in self.inits)

    def _identity(self) -> str:
        """What must be equal for an unfinished state to be continued: spec, data, seed, starts and code."""
        starts = [[tensor.double().sum().item() for tensor in tensors.values()] for tensors in self._init_tensors()]
        return fingerprint(
            {
                "method": self.method.model_dump(mode="json"),
                "data": self.data_hashes,
                "seed": self.pairing.seed,
                "starts": starts,
                "code": [algorithm_hash(self.method.algorithm), shared_code_hash(self.root)],
                "device": self.device.type,
            }
        )

    def _resume(self) -> None:
        path = work_file(self.root, self.pairing.key)
        if not path.exists():
            return
        _, metadata = read_tensors(path)
        if metadata.get("identity") != self.identity:
            self.say(
                f"{self.pairing.key}: an unfinished run is there, but its spec, data or code differs: starting afresh"
            )
            return
        self.state.load(path)
        session = json.loads(metadata["session"])
        self.rows, self.earlier = session["rows"], session["spent"] | {"resumed": session["spent"]["resumed"] + 1}
        self.notes.extend(session["notes"])
        self.started = datetime.fromisoformat(session["started"])
        self.say(f"{self.pairing.key}: resumed after epoch {self.state.epoch}")

    def _checkpoint(self) -> None:
        if self.state.epoch == self.method.compute.epochs:
            return  # the run's own files follow at once
        session = {
            "rows": self.rows,
            "spent": self._spent(),
            "notes": self.notes,
            "started": self.started.isoformat(),
        }
        extra = {"identity": self.identity, "session": json.dumps(session)}
        self.writer.save(self.state, work_file(self.root, self.pairing.key), extra)

    def _spent(self) -> dict[str, Any]:
        return self.earlier | {
            "seconds": self.earlier["seconds"] + time.perf_counter() - self._wall,
            "cpu_seconds": self.earlier["cpu_seconds"] + _cpu_seconds() - self._cpu,
        }

    def _row(self, done: EpochDone) -> dict[str, Any]:
        compute = self.method.compute
        row: dict[str, Any] = dict.fromkeys(HISTORY_COLUMNS)
        row |= {"epoch": done.epoch, "loss": done.losses.get("total"), "seconds": done.seconds}
        row |= {f"loss_{name}": value for name, value in done.losses.items() if name != "total"}
        factor = rate_factor(compute.schedule, done.epoch, compute.epochs)
        row["learning_rate"] = compute.optimizer.learning_rate * factor
        row["images_per_second"] = done.images / done.seconds
        self.earlier["images"] += done.images
        self.earlier["training_seconds"] += done.seconds
        if LABELS in self.state.tensors:
            row |= self.evaluator.label_quality(self.state.tensors[LABELS].numpy())
        if done.epoch % compute.evaluate_every == 0 or done.epoch == compute.epochs:
            embed = self.algorithm.embedder(compute, self.algorithm.export(), self.device)
            scores = self.evaluator.scores(embed)
            row |= {"target_map": 100 * scores.map, "target_rank1": 100 * scores.cmc[1]}
        return row

    def _record(self, spec_hash: str) -> Record:
        method, pairing, spent = self.method, self.pairing, self._spent()
        trained = self.earlier["training_seconds"]
        return Record(
            key=pairing.key, method=pairing.method, setting=method.setting, source=pairing.source,
            target=pairing.target, seed=pairing.seed, regime=self.regime,
            spec=method.model_dump(mode="json"), spec_hash=spec_hash, code_version=code_version(self.root),
            data_hashes=self.data_hashes, protocol=PROTOCOL,
            init=tuple(init.key for init in self.inits) or (str(method.init),),
            bn_groups=method.compute.network.bn_groups, precision=method.compute.precision,
            hardware=hardware(self.device), versions=versions(), started=self.started,
            seconds=spent["seconds"], cpu_seconds=spent["cpu_seconds"],
            gpu_seconds=spent["seconds"] if self.device.type == "cuda" else 0.0,
            peak_memory_gib=peak_memory_gib(self.device),
            images_per_second=self.earlier["images"] / trained if trained else None,
            epochs=method.compute.epochs, neighbours=self.state.values.get(SEARCH), resumed=int(spent["resumed"]),
            notes=tuple(self.notes),
        )  # fmt: skip


def _labeled(data: Prepared, device: torch.device) -> LabeledSet:
    split = data.split("train")
    return LabeledSet(split.images, split.cameras, split.ids, device)


def _unlabeled(data: Prepared, device: torch.device) -> UnlabeledSet:
    """The identities stop here: what training gets of an unlabeled target has no place for them."""
    split = data.split("train")
    return UnlabeledSet(split.images, split.cameras, device)


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _csv(rows: list[dict[str, Any]]) -> str:
    extra = [name for row in rows for name in row if name not in HISTORY_COLUMNS]
    out = io.StringIO()
    writer = csv.DictWriter(out, [*HISTORY_COLUMNS, *dict.fromkeys(extra)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _line(key: str, epochs: int, row: dict[str, Any]) -> str:
    """One line of progress for a log."""
    parts = [f"{key}: epoch {row['epoch']}/{epochs}"]
    if row["loss"] is not None:
        parts.append(f"loss {row['loss']:.3f}")
    if row["clusters"] is not None:
        parts.append(f"{row['clusters']} clusters, {100 * row['outliers']:.0f} % outliers")
    if row["target_map"] is not None:
        parts.append(f"mAP {row['target_map']:.1f}, Rank-1 {row['target_rank1']:.1f}")
    parts.append(f"{row['seconds']:.1f} s")
    return " · ".join(parts)
