"""TorchScript: the traced graph, which needs neither this program nor Python."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import torch

from harness.matrix import Matrix
from harness.use.export.about import KEY, about, text
from harness.use.export.graph import Contract, example, graph
from harness.use.model import TrainedRun


def write_torchscript(run: TrainedRun, path: Path, contract: Contract, half: bool) -> None:
    """Write the graph; `reid-harness.json` inside says what it is."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch advises against TorchScript; its consumers ask for it
        traced = torch.jit.trace(graph(run, contract, half), example(run, contract, half))  # type: ignore[no-untyped-call]
        torch.jit.save(traced, path, _extra_files={f"{KEY}.json": text(about(run, contract, half))})  # type: ignore[no-untyped-call]


def run_torchscript(path: Path) -> Callable[[torch.Tensor], Matrix]:
    """Return the file as a function from a consumer's images to features."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]

    def embed(images: torch.Tensor) -> Matrix:
        with torch.no_grad():
            features: Matrix = module(images).numpy()
        return features

    return embed
