"""BoxMOT: an ONNX file with the sidecar that its backends read; they resize and normalize themselves."""

from __future__ import annotations

import json
from pathlib import Path

from harness.learning.normalization import IMAGENET
from harness.paths import write_text
from harness.use.export.graph import Contract
from harness.use.export.onnx_file import write_onnx
from harness.use.model import TrainedRun

SCHEMA = 1
CONTRACT = Contract(IMAGENET)


def write_boxmot(run: TrainedRun, path: Path, half: bool, opset: int) -> None:
    """Write `path` and `<path>.metadata.json`: without it BoxMOT guesses the size of crops from the file's name."""
    write_onnx(run, path, CONTRACT, half, opset)
    size, backbone = [run.input.height, run.input.width], run.method.compute.network.backbone
    sidecar = {
        "schema_version": SCHEMA,
        "source": run.record.key,
        "model_name": getattr(backbone, "name", backbone.kind),
        "num_classes": 1,  # the file has no classifier
        "preprocess": "resize",
        "model_kwargs_schema_version": SCHEMA,
        "model_kwargs": {"img_size": size},
        "img_size": size,
    }
    write_text(path.with_name(f"{path.name}.metadata.json"), json.dumps(sidecar, indent=2) + "\n")
