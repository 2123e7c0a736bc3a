"""Speed of every method at the paper regime's image size, batch and network, in bf16 and float32, on drawn images.

On a CPU: the same methods on small images with the narrow network and small batches, so that the code is tried; nothing
is measured of the paper regime, and the outcomes say so. All start from a few supervised iterations, since the
published ImageNet weights need a download.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from benchmarks.measure import Outcome, measured
from benchmarks.training import peak_gib
from harness.drawn.dataset import draw_images
from harness.errors import UserError
from harness.learning.algorithm import Algorithm, RunContext
from harness.learning.data import LabeledSet, UnlabeledSet
from harness.learning.device import choose_device, synchronize
from harness.learning.loop import EpochDone, run_epochs
from harness.learning.state import RunState
from harness.specs import Pairing, Registry
from harness.specs.compute import Compute
from harness.specs.method import ResolvedMethod

SIZES = {"small": 50, "large": 200}
"""Iterations on a GPU."""
PRECISIONS: tuple[Literal["bf16", "float32"], ...] = ("bf16", "float32")
SOURCE, TARGET, PAPER_SOURCE, PAPER_TARGET = "drawn-winter", "drawn-summer", "dukemtmc", "market1501"
PARTS: dict[str, dict[str, Any]] = {
    "jaccard": {"k1": 12, "k2": 4},
    "jaccard-reranking": {"k1": 12, "k2": 4},
    "ca-jaccard": {"k1_intra": 3, "k1_inter": 8, "k2_intra": 2, "k2_inter": 3},
    "cosine": {"k": 12},
    "dbscan": {"eps": 0.7, "min_samples": 2},
    "dbscan-data-driven": {"rho": 0.03, "min_samples": 2},
    "hdbscan": {"min_cluster_size": 3, "min_samples": 2},
    "infomap": {"max_distance": 0.5, "min_cluster_size": 3},
}
"""Parameters of distances and clusterings for a thousand images, as the specs' are for twelve thousand, by kind."""
CURVE = 5


@dataclass(frozen=True)
class Scale:
    """Scale of the benchmark; `changes` are merged into every method's `compute`."""

    height: int
    width: int
    identities: int
    iterations: int
    start_iterations: int
    changes: Mapping[str, Any]


def run(size: str, repeats: int, with_reference: bool) -> Iterator[Outcome]:
    """Yield an outcome per method and precision; there is no reference, and nothing is repeated."""
    threads, device = torch.get_num_threads(), choose_device()
    scale = Scale(256, 128, 96, SIZES[size], 50, {})
    if device.type == "cpu":
        small = {"network": {"backbone": {"kind": "narrow"}}, "batch": {"identities": 8, "instances": 4}}
        scale = Scale(32, 16, 32, 2, 60, small)
    try:
        yield from Trial(Registry.load(Path(__file__).parents[1]).checked(), device, scale).outcomes()
    finally:
        torch.set_num_threads(threads)


class Trial:
    """Drawn images, and the starts that methods with the same network share."""

    def __init__(self, registry: Registry, device: torch.device, scale: Scale) -> None:
        self.registry, self.device, self.scale = registry, device, scale
        self.source, target = self._drawn(SOURCE), self._drawn(TARGET)
        self.labeled_target = target
        self.target = UnlabeledSet(target.images, target.cameras, device)
        self.starts: dict[str, Mapping[str, Tensor]] = {}

    def outcomes(self) -> Iterator[Outcome]:
        for name, spec in self.registry.methods.items():
            if "paper" not in spec.regimes or not spec.regimes["paper"].compute.iterations:
                continue
            for precision in PRECISIONS:
                yield self.outcome(name, precision)

    def outcome(self, name: str, precision: Literal["bf16", "float32"]) -> Outcome:
        """Train one method for `iterations` iterations after an untimed first one."""
        method = self._resolved(name, precision)
        size, iterations = method.compute.batch.size, self.scale.iterations
        what = f"{iterations}×{size} {self.scale.height}×{self.scale.width}"
        remark = "" if self.device.type == "cuda" else "; no GPU: the paper regime was NOT measured"
        losses: list[Tensor] = []
        try:
            iteration = _iterations(self._algorithm(method, self._start(method)), losses)
            next(iteration)
            peak_gib(self.device)
            _, timing = measured(lambda: self._finish(iteration, iterations - 1))
            waits = f", {_host_waits(iteration)} host waits an iteration" if self.device.type == "cuda" else ""
        except UserError as error:
            return Outcome(f"{name} {precision}", what, 0, 0, agreement=f"STOPPED: {error}{remark}")
        rate = f"{(iterations - 1) * size / timing.seconds:,.0f} images/s"
        gib = peak_gib(self.device) or timing.extra_gib
        said = f"{rate}{waits}, {_curve(losses)}{remark}"
        return Outcome(f"{name} {precision}", what, timing.seconds, gib, agreement=said)

    def schedule(self, name: str, epochs: int | None) -> Outcome:
        """Time the published schedule of a method, or so many epochs of it, the rest reckoned."""
        method = self._resolved(name, "bf16")
        compute = self._published(name)
        whole = compute.epochs
        method = method.model_copy(update={"compute": compute.model_copy(update={"epochs": epochs or whole})})
        what = f"{whole}×{compute.iterations} iterations of {compute.batch.size}"
        algorithm = self._algorithm(method, self._start(method))
        peak_gib(self.device)
        lines: list[EpochDone] = []
        _, timing = measured(lambda: run_epochs(algorithm, lines.append))
        gib, done = peak_gib(self.device) or timing.extra_gib, len(lines)
        seconds = timing.seconds * whole / done
        said = "whole" if done == whole else f"reckoned from {done} of {whole} epochs"
        return Outcome(f"schedule of {name}, {len(self.target):,} images", what, seconds, gib, agreement=said)

    def _published(self, name: str) -> Compute:
        """The compute of the paper regime as it stands, but for `changes` of the scale."""
        needs_source = self.registry.method(name).setting in ("uda", "direct")
        pairing = Pairing(name, PAPER_SOURCE if needs_source else None, PAPER_TARGET, 0)
        published = self.registry.resolved(pairing).compute
        return Compute.model_validate(self._changed(published.model_dump()))

    def _changed(self, compute: dict[str, Any]) -> dict[str, Any]:
        """`compute` with the scale's `changes` merged in."""
        merged = {
            part: compute[part] | changes if isinstance(changes, dict) else changes
            for part, changes in self.scale.changes.items()
        }
        return compute | merged

    def _finish(self, iteration: Iterator[None], count: int) -> None:
        for _ in islice(iteration, count):
            pass
        synchronize(self.device)

    def _algorithm(self, method: ResolvedMethod, start: Mapping[str, Tensor] | None) -> Algorithm:
        uda, usl = method.setting == "uda", method.setting == "usl"
        source = self.source if uda else None if usl else self.labeled_target
        module, class_name = method.algorithm.split(":")
        algorithm: type[Algorithm] = getattr(importlib.import_module(module), class_name)
        context = RunContext(
            method.compute, 0, self.device, RunState(), source, self.target if uda or usl else None,
            (start,) * 3 if start else (),
        )  # fmt: skip
        return algorithm(context, algorithm.Params.model_validate(method.params))

    def _resolved(self, name: str, precision: Literal["bf16", "float32"]) -> ResolvedMethod:
        needs_source = self.registry.method(name).setting in ("uda", "direct")
        pairing = Pairing(name, PAPER_SOURCE if needs_source else None, PAPER_TARGET, 0)
        method = self.registry.resolved(pairing)
        iterations = self.scale.iterations + 1  # one more, to count synchronizations
        changed = self._changed(method.compute.model_dump())
        compute = changed | {"precision": precision, "iterations": iterations}
        params = dict(method.params)
        if "labels" in params:
            params["labels"] = {socket: part | PARTS[part["kind"]] for socket, part in params["labels"].items()}
        update = {"params": params, "compute": type(method.compute).model_validate(compute)}
        return method.model_copy(update=update)

    def _start(self, method: ResolvedMethod) -> Mapping[str, Tensor]:
        """Return the network of `method` after a few supervised iterations."""
        network = method.compute.network
        key = network.model_dump_json()
        if key not in self.starts:
            supervised = self._resolved("supervised", "float32")
            changes = {"network": network, "iterations": self.scale.start_iterations}
            supervised = supervised.model_copy(update={"compute": supervised.compute.model_copy(update=changes)})
            algorithm = self._algorithm(supervised, None)
            self._finish(_iterations(algorithm, []), self.scale.start_iterations)
            self.starts[key] = {name: tensor.clone() for name, tensor in algorithm.export().items()}
        return self.starts[key]

    def _drawn(self, name: str) -> LabeledSet:
        spec, scale = self.registry.dataset(name).drawn, self.scale
        assert spec is not None
        train = spec.train.model_copy(update={"identities": scale.identities})
        test = spec.test.model_copy(update={"identities": 1})
        few = {"height": scale.height, "width": scale.width, "train": train, "test": test, "distractors": 0, "junk": 0}
        drawn = draw_images(spec.model_copy(update=few))
        kept = drawn.splits == "train"
        return LabeledSet(drawn.images[kept], drawn.cameras[kept], drawn.identities[kept], self.device)


def _iterations(algorithm: Algorithm, losses: list[Tensor]) -> Iterator[None]:
    """Run the iterations of the first epoch one at a time; append their total losses, on the device, to `losses`."""
    for batch in algorithm.begin_epoch(0):
        losses.extend(loss.detach() for name, loss in algorithm.step(batch).items() if name == "total")
        yield


def _host_waits(iteration: Iterator[None]) -> int:
    """Run one more iteration; return the number of host-device synchronizations in it."""
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            next(iteration)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return len(caught)


def _curve(losses: list[Tensor]) -> str:
    """Return the mean loss of each of a few consecutive segments."""
    if not losses:
        return "no loss"
    values = torch.stack(losses).float().cpu()
    means = " ".join(f"{part.mean():.3f}" for part in values.tensor_split(min(CURVE, len(values))))
    return f"loss {means}{'' if values.isfinite().all() else ' NOT FINITE'}"
