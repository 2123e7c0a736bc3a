"""Every format: what its consumer feeds, the file it gets, how it is written and how it is run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from harness.errors import DiskError, UserError
from harness.matrix import Matrix
from harness.pipeline.trained import read_scores
from harness.specs.yamlfile import nearest
from harness.use.export import boxmot, roboflow, ultralytics
from harness.use.export.about import about
from harness.use.export.card import card
from harness.use.export.graph import Contract
from harness.use.export.hub import write_eval_results
from harness.use.export.onnx_file import run_onnx, write_onnx
from harness.use.export.parity import Embed, as_embedder, worst_cosine
from harness.use.export.torchscript import run_torchscript, write_torchscript
from harness.use.export.weights import run_weights, write_weights
from harness.use.model import Model, TrainedRun, load, open_run

CARD = "README.md"
OWN = Contract(None)
"""Of the formats that no consumer's habits bind: RGB in [0, 1], normalized inside."""
BARE = Contract("own")
LOWEST = {"float32": 0.9999, "float16": 0.999}
"""The lowest cosine to the checkpoint's features with which a file counts as the same model."""


@dataclass(frozen=True)
class Format:
    """`write(run, path, half, opset)`, and `run(run, path, half)` as the consumer runs it."""

    contract: Contract
    suffix: str
    write: Callable[[TrainedRun, Path, bool, int], None]
    run: Callable[[TrainedRun, Path, bool], Callable[[torch.Tensor], Matrix]]


FORMATS = {
    "onnx": Format(
        OWN, ".onnx",
        lambda run, path, half, opset: write_onnx(run, path, OWN, half, opset),
        lambda run, path, half: run_onnx(path),
    ),
    "torchscript": Format(
        OWN, ".torchscript",
        lambda run, path, half, opset: write_torchscript(run, path, OWN, half),
        lambda run, path, half: run_torchscript(path),
    ),
    "safetensors": Format(
        BARE, ".safetensors",
        lambda run, path, half, opset: write_weights(run, path, BARE, half),
        lambda run, path, half: run_weights(run, path, BARE, half),
    ),
    "roboflow": Format(
        roboflow.CONTRACT, ".safetensors",
        lambda run, path, half, opset: roboflow.write_roboflow(run, path, half),
        lambda run, path, half: roboflow.run_roboflow(path),
    ),
    "boxmot": Format(boxmot.CONTRACT, ".onnx", boxmot.write_boxmot, lambda run, path, half: run_onnx(path)),
    "ultralytics": Format(
        ultralytics.CONTRACT, ".onnx", ultralytics.write_ultralytics, lambda run, path, half: run_onnx(path)
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Exported:
    """What was written, and the lowest cosine between its features and the checkpoint's."""

    folder: Path
    path: Path
    cosine: float
    embed: Embed


def export(folder: Path, name: str, output: Path, half: bool, opset: int) -> Exported:
    """Write a trained run as format `name` into the new folder `output`, with its card: proven the same, or not at all.

    Raises UserError for an unknown format, a folder that exists, a missing package, or a file that is not the same
    model.
    """
    if name not in FORMATS:
        raise UserError(f"--format {name}: must be one of {', '.join(FORMATS)}{nearest(name, FORMATS)}")
    if output.exists():
        raise UserError(f"{output}: exists already; choose another --output, or remove it")
    form, run, model = FORMATS[name], open_run(folder), load(folder)
    partial = output.with_name(f".{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        path = partial / _file_name(run, form, name)
        form.write(run, path, half, opset)
        embed = as_embedder(form.run(run, path, half), form.contract, run.input, half)
        cosine = _proven(embed, model, form, half)
        document = about(run, form.contract, half)
        (partial / CARD).write_text(card(run, model, name, cosine, document), encoding="utf-8")
        metrics = read_scores(run.folder)
        if metrics:
            write_eval_results(partial, run.record, metrics)
        partial.replace(output)
    except OSError as error:
        raise DiskError(f"{output}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Exported(output, output / path.name, cosine, embed)


def _file_name(run: TrainedRun, form: Format, name: str) -> str:
    return roboflow.WEIGHTS if name == "roboflow" else f"{run.record.key}{form.suffix}"


def _proven(embed: Embed, model: Model, form: Format, half: bool) -> float:
    lowest = LOWEST["float16" if half else "float32"]
    cosine = worst_cosine(embed, model.embedder, model.input)
    if not cosine >= lowest:
        raise UserError(
            f"{model.record.key}: the exported file is not the same model: its features have a cosine of {cosine:.5f} "
            f"to the checkpoint's, at least {lowest} was expected; nothing was written"
        )
    return cosine
