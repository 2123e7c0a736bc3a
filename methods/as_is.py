"""No training at all: the start is evaluated as it is (direct transfer of a source model; a random network)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness import learning
from harness.learning.algorithm import Algorithm, Losses
from harness.specs.base import Frozen

if TYPE_CHECKING:
    from torch import Tensor


class AsIs(Algorithm):
    """The network of the run's init, unchanged. Its specs state 0 epochs, so the loop never calls it."""

    class Params(Frozen):
        pass

    params: Params

    def build(self) -> None:
        self.network = learning.initialize.network(self.run, "network")

    def begin_epoch(self, epoch: int) -> Iterator[None]:
        return iter(())

    def step(self, batch: None) -> Losses:
        return {}

    def export(self) -> dict[str, Tensor]:
        return self.network.state_dict()
