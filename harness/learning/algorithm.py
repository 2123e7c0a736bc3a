"""What a method implements: build, begin_epoch, step. It sees no command line, no files and no hidden identities."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from zlib import crc32

import numpy as np

from harness.errors import UserError
from harness.specs.base import Frozen
from harness.specs.compute import Compute

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from harness.learning.data import LabeledSet, UnlabeledSet
    from harness.learning.extract import Embedder
    from harness.learning.state import RunState

Losses = Mapping[str, "Tensor"]
"""Scalar tensors, `total` among them (what was minimized); nothing is copied to the host inside an iteration."""


@dataclass(frozen=True)
class RunContext:
    """What one run gives its algorithm.

    `source` carries identities (supervised: the target's own training set); `target` cannot (usl, uda).
    `init` holds the weights to start from, one mapping per start, empty for a random start.
    """

    compute: Compute
    seed: int
    device: torch.device
    state: RunState
    source: LabeledSet | None = None
    target: UnlabeledSet | None = None
    init: tuple[Mapping[str, Tensor], ...] = ()
    notes: list[str] = field(default_factory=list)

    @property
    def labeled(self) -> LabeledSet:
        """The training set with identities. Raises UserError if this run has none."""
        if self.source is None:
            raise UserError("this method needs a labeled training set: its setting must be supervised or uda")
        return self.source

    @property
    def unlabeled(self) -> UnlabeledSet:
        """The training set without identities. Raises UserError if this run has none."""
        if self.target is None:
            raise UserError("this method needs an unlabeled target: its setting must be usl or uda")
        return self.target

    @property
    def cameras_used(self) -> bool:
        """Whether the method has asked for camera labels."""
        return any(data.cameras_used for data in (self.source, self.target) if data)

    def rng(self, purpose: str, epoch: int = 0) -> np.random.Generator:
        """Return the random stream of one purpose in one epoch.

        Every random number of a run comes from such a stream, a pure function of (seed, purpose, epoch): resuming
        needs no generator state, and a method that draws more numbers for one purpose shifts no other.
        """
        return np.random.default_rng([self.seed, crc32(purpose.encode()), epoch])

    def view_rngs(self, epoch: int, views: int = 1) -> list[np.random.Generator]:
        """Return one random stream per augmented view: the first view is the same however many there are."""
        return [self.rng(f"augment view {view}", epoch) for view in range(1, views + 1)]


class Algorithm(ABC):
    """One method. Everything that must survive an interruption is registered in `self.run.state`."""

    Params: ClassVar[type[Frozen]]

    def __init__(self, run: RunContext, params: Any) -> None:
        self.run = run
        self.params = params
        self.build()

    @abstractmethod
    def build(self) -> None:
        """Make networks, optimizers and memories from `run.init`, and register them in `run.state`."""

    @abstractmethod
    def begin_epoch(self, epoch: int) -> Iterator[Any]:
        """Prepare epoch `epoch` (from 0): pseudo-labels, memories, learning rate. Return its batches."""

    @abstractmethod
    def step(self, batch: Any) -> Losses:
        """Do one iteration on a batch of `begin_epoch`."""

    @abstractmethod
    def export(self) -> dict[str, Tensor]:
        """Return the tensors that evaluation, and runs that start from this one, need."""

    @classmethod
    def embedder(cls, compute: Compute, tensors: Mapping[str, Tensor], device: torch.device) -> Embedder:
        """Return the function from a set of images to their L2-normalized float32 features [N, d]."""
        from harness.learning.extract import network_embedder

        return network_embedder(compute, tensors, device)


def algorithm_class(path: str, stated_in: Path | str) -> type[Algorithm]:
    """Return the class at import path `package.module:Class`. Raises UserError, beginning with where it is stated."""
    module, _, name = path.partition(":")
    try:
        found: type[Algorithm] = getattr(importlib.import_module(module), name)
    except (ImportError, SyntaxError, AttributeError, ValueError) as error:
        raise UserError(f"{stated_in}: its algorithm {path!r} cannot be imported: {error}") from error
    return found
