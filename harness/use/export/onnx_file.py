"""ONNX: one graph with a dynamic batch, and ONNX Runtime to run it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from harness.errors import UserError
from harness.matrix import Matrix
from harness.use.export.about import KEY, about, text
from harness.use.export.graph import Contract, example, graph
from harness.use.model import TrainedRun

OLDEST, NEWEST, DEFAULT = 18, 23, 18
"""Opsets: torch's exporter writes none below 18."""


def write_onnx(
    run: TrainedRun, path: Path, contract: Contract, half: bool, opset: int, metadata: dict[str, str] | None = None
) -> None:
    """Write the graph with what it says of itself. Raises UserError for an opset that cannot be written."""
    if not OLDEST <= opset <= NEWEST:
        raise UserError(f"--opset {opset}: must be {OLDEST} to {NEWEST}; torch's exporter writes no other")
    onnx = _package("onnx")
    _package("onnxscript")
    traced = graph(run, contract, half)
    images = example(run, contract, half)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's notes to its own developers
        level = logging.root.manager.disable
        logging.disable(logging.WARNING)
        try:
            program: Any = torch.onnx.export(
                traced,
                (images,),
                dynamo=True,
                input_names=["images"],
                output_names=["features"],
                dynamic_shapes={"images": {0: torch.export.Dim("batch", min=1)}},
                opset_version=opset,
                verbose=False,
            )
        finally:
            logging.disable(level)
    model = program.model_proto
    onnx.helper.set_model_props(model, {KEY: text(about(run, contract, half)), **(metadata or {})})
    onnx.checker.check_model(model)
    onnx.save(model, path)


def run_onnx(path: Path) -> Callable[[torch.Tensor], Matrix]:
    """Return the graph as a function from a consumer's images to features, by ONNX Runtime on the CPU."""
    session = _package("onnxruntime").InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def embed(images: torch.Tensor) -> Matrix:
        features: Matrix = np.asarray(session.run(None, {"images": images.numpy()})[0], np.float32)
        return features

    return embed


def _package(name: str) -> Any:
    try:
        return __import__(name)
    except ImportError as error:
        raise UserError(f"ONNX needs the package {name}: pip install 'reid-harness[export]'") from error
