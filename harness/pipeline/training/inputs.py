"""What a run is made of, gathered once before it trains: resolved method, prepared datasets, weights to start from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from harness.data.prepared import Prepared, open_prepared
from harness.errors import UserError
from harness.learning import ranks
from harness.learning.algorithm import RunContext
from harness.learning.data import LabeledSet, UnlabeledSet
from harness.learning.normalization import Normalization
from harness.learning.pretrained import WeightsFile, file_tensors, fitted, published_tensors
from harness.learning.state import RunState, read_tensors, sha256
from harness.paths import prepared_folder, run_folder
from harness.pipeline.code import code_hash
from harness.pipeline.records import Input
from harness.specs.method import InitFile, ResolvedMethod
from harness.specs.pairing import Pairing
from harness.specs.registry import Registry
from harness.specs.resolve import fingerprint


@dataclass(frozen=True)
class Start:
    """Weights that a run starts from: what the record calls them, their tensors, and the file of published ones."""

    name: str
    tensors: Mapping[str, Tensor]
    file: WeightsFile | None = None

    @cached_property
    def sha256(self) -> str:
        """SHA-256 over names, types, shapes and bytes of the tensors, in the order of their names."""
        return sha256(self.tensors, {})


@dataclass(frozen=True)
class Inputs:
    """Everything that decides a run's result, each read once. `starts` is empty for a random start."""

    pairing: Pairing
    regime: str
    method: ResolvedMethod
    target: Prepared
    source: Prepared | None
    starts: tuple[Start, ...]
    normalization: Normalization

    @property
    def data_hashes(self) -> dict[str, str]:
        """The content hash of each dataset, by name."""
        return {data.name: data.data_hash for data in (self.target, self.source) if data}

    @property
    def input(self) -> Input:
        """What the network is shown: the target's prepared images, normalized."""
        info = self.target.info
        return Input(height=info["height"], width=info["width"], **self.normalization._asdict())

    @property
    def has_cameras(self) -> bool:
        """Whether any of the datasets has camera labels."""
        return any(data.has_cameras for data in (self.target, self.source) if data)

    def identity(self, device: torch.device) -> str:
        """Return what must be equal for an unfinished run to be continued: spec, data, seed, starts, code, device."""
        return fingerprint(
            {
                "method": self.method.model_dump(mode="json"),
                "data": self.data_hashes,
                "seed": self.pairing.seed,
                "starts": [start.sha256 for start in self.starts],
                "code": code_hash(self.method),
                "device": [device.type, ranks.count()],
            }
        )

    def context(self, device: torch.device, state: RunState, notes: list[str]) -> RunContext:
        """Return what the algorithm gets; the type of an unlabeled target has no place for identities."""
        setting, source = self.method.setting, self.source or self.target
        if setting in ("supervised", "uda") and not source.has_ids:
            raise UserError(f"{source.name}: no training image has an identity, which a {setting} method needs")
        labeled, unlabeled = source.split("train"), self.target.split("train")
        return RunContext(
            compute=self.method.compute,
            seed=self.pairing.seed,
            device=device,
            state=state,
            notes=notes,
            source=LabeledSet(labeled.images, labeled.cameras, labeled.ids, device, self.normalization)
            if setting in ("supervised", "uda")
            else None,
            target=UnlabeledSet(unlabeled.images, unlabeled.cameras, device, self.normalization)
            if setting in ("usl", "uda")
            else None,
            init=tuple(start.tensors for start in self.starts),
        )


def gather(registry: Registry, pairing: Pairing, method: ResolvedMethod) -> Inputs:
    """Read all that `pairing` needs. Raises UserError for what is missing or damaged, and says which stage makes it."""
    root = registry.root
    return Inputs(
        pairing=pairing,
        regime=registry.dataset(pairing.target).regime,
        method=method,
        target=open_prepared(prepared_folder(root, pairing.target)),
        source=open_prepared(prepared_folder(root, pairing.source)) if pairing.source else None,
        starts=_starts(registry, pairing, method, root),
        normalization=normalization_of(registry, pairing, method),
    )


def normalization_of(registry: Registry, pairing: Pairing, method: ResolvedMethod) -> Normalization:
    """Return what the weights that a run starts from, or those that they started from, expect of pixels."""
    starts = registry.init_pairings(pairing)
    if starts:
        return normalization_of(registry, starts[0], registry.resolved(starts[0]))
    if isinstance(method.init, InitFile) and method.init.mean and method.init.std:
        return Normalization(method.init.mean, method.init.std)
    return method.compute.network.backbone.normalization


def _starts(registry: Registry, pairing: Pairing, method: ResolvedMethod, root: Path) -> tuple[Start, ...]:
    if method.init in ("imagenet", "pretrained"):
        return (Start(method.init, *published_tensors(method.compute.network, root, method.init)),)
    if isinstance(method.init, InitFile):
        found = file_tensors(method.compute.network, root, method.init.file, method.init.sha256)
        return (Start(method.init.file, *found),)
    network = method.compute.network
    return tuple(
        Start(init.key, fitted(network, read_tensors(run_folder(root, init.key) / "checkpoint.safetensors")[0]))
        for init in registry.init_pairings(pairing)
    )
