"""The weights that a run starts from."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from harness.learning import ranks
from harness.learning.algorithm import RunContext
from harness.learning.networks import ReidNetwork, build


def network(run: RunContext, name: str, start: int = 0) -> ReidNetwork:
    """Return a network from the run's `start`-th init (or random), registered in the run's state as `name`."""
    tensors: Mapping[str, Tensor] | None = run.init[start] if run.init else None
    built = build(ranks.local(run.compute.network), int(run.rng(f"init {name}").integers(2**63)), run.device, tensors)
    ranks.gather_features(built)
    run.state.modules[name] = built
    return built
