"""safetensors: the bare weights; the header says which network they belong to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from harness.learning.state import read_tensors, write_tensors
from harness.matrix import Matrix
from harness.use.export.about import KEY, about, text
from harness.use.export.graph import Contract, Graph, graph
from harness.use.model import TrainedRun

PREFIX = "network."


def write_weights(run: TrainedRun, path: Path, contract: Contract, half: bool) -> None:
    """Write the network's tensors, named as its modules are."""
    state = graph(run, contract, half).state_dict()
    tensors = {name.removeprefix(PREFIX): value for name, value in state.items() if name.startswith(PREFIX)}
    network = run.method.compute.network.model_dump_json()
    write_tensors(tensors, path, {KEY: text(about(run, contract, half)), "network": network})


def run_weights(run: TrainedRun, path: Path, contract: Contract, half: bool) -> Callable[[torch.Tensor], Matrix]:
    """Return the weights, put into a fresh network, as a function from a consumer's images to features."""
    tensors, _ = read_tensors(path)
    module: Graph = graph(run, contract, half)
    module.network.load_state_dict(tensors)

    def embed(images: torch.Tensor) -> Matrix:
        with torch.no_grad():
            features: Matrix = module(images).numpy()
        return features

    return embed
