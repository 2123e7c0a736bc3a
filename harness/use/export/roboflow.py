"""Roboflow's `reid`: a folder with `reid_config.json` and `weights.safetensors`, of a network as timm builds it.

`reid` calls `timm.create_model(name, num_classes=0)` and nothing else: no other stride, size or pooling, no neck. So it
can carry one kind of network of ours: a transformer whose class token is the feature. The neck, an affine map of that
token in evaluation, goes into the affine part of the LayerNorm before it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import interpolate, normalize

from harness.errors import UserError
from harness.learning.backbones import Timm
from harness.learning.networks import ReidNetwork
from harness.matrix import Matrix
from harness.paths import write_text
from harness.use.export.graph import Contract, graph
from harness.use.model import TrainedRun

CONTRACT = Contract("own")
WEIGHTS, CONFIG = "weights.safetensors", "reid_config.json"
PADDING = 114
"""Grey around a crop in `reid`'s other mode of resizing; the mode written here pads nothing."""


def write_roboflow(run: TrainedRun, path: Path, half: bool) -> None:
    """Write the folder's two files. Raises UserError for a network that `reid` cannot build."""
    spec = run.method.compute.network
    if not isinstance(spec.backbone, Timm) or spec.pooling.takes != "tokens":
        raise UserError(
            f"{run.record.key}: Roboflow's reid builds timm's networks only, as they are, so only a transformer whose "
            f"class token is the feature fits; this run's is {spec.backbone.kind!r} with pooling {spec.pooling.kind!r}"
        )
    architecture = spec.backbone.name.partition(".")[0]
    network = graph(run, CONTRACT, half=False).network
    net, size = cast(Any, network.backbone).net, cast(Any, network.backbone).size
    _fold_neck(network, net, run)
    tensors = {name: value.half() if half else value for name, value in net.state_dict().items()}
    _check(architecture, tensors, run)
    save_file({name: value.contiguous() for name, value in tensors.items()}, path)
    own_size = size == (run.input.height, run.input.width)
    preprocessing = {
        "input_size": list(size),
        "mean": list(run.input.mean),
        "std": list(run.input.std),
        "interpolation": "bicubic" if own_size else "bilinear",  # as crops are prepared; as the network resizes them
        "to_rgb": True,
        "resize_mode": "stretch",
        "pad_value": PADDING,
    }
    config = {"architecture": f"timm:{architecture}", "preprocessing": preprocessing}
    write_text(path.with_name(CONFIG), json.dumps(config, indent=2) + "\n")


def run_roboflow(path: Path) -> Callable[[Tensor], Matrix]:
    """Return what `reid` makes of the folder, as a function from normalized crops to features."""
    config = json.loads(path.with_name(CONFIG).read_text(encoding="utf-8"))
    net = _built(config["architecture"].removeprefix("timm:")).eval()
    net.load_state_dict(load_file(path))
    height, width = config["preprocessing"]["input_size"]

    def embed(images: Tensor) -> Matrix:
        if tuple(images.shape[2:]) != (height, width):
            smaller = images.shape[2] > height or images.shape[3] > width
            images = interpolate(images.float(), (height, width), mode="bilinear", antialias=smaller)
        with torch.no_grad():
            features: Matrix = normalize(net(images.float()), dim=1).numpy()
        return features

    return embed


def _built(architecture: str) -> nn.Module:
    """The network as `reid` builds it."""
    import timm

    return timm.create_model(architecture, pretrained=False, num_classes=0)


def _fold_neck(network: ReidNetwork, net: Any, run: TrainedRun) -> None:
    """Put the neck, x ↦ (x - mean) · scale + bias in evaluation, into the last LayerNorm, x ↦ x · weight + bias."""
    if not isinstance(net.norm, nn.LayerNorm) or net.norm.bias is None:
        raise UserError(f"{run.record.key}: Roboflow's reid has no neck, and this transformer ends in no LayerNorm")
    neck = network.neck
    mean, variance = cast(Tensor, neck.running_mean), cast(Tensor, neck.running_var)
    with torch.no_grad():
        scale = neck.weight / (variance + neck.eps).sqrt()
        net.norm.weight.mul_(scale)
        net.norm.bias.copy_((net.norm.bias - mean) * scale + neck.bias)


def _check(architecture: str, tensors: dict[str, Tensor], run: TrainedRun) -> None:
    """Raise UserError unless the tensors are those of the network that `reid` builds, its class token its feature."""
    theirs = _built(architecture)
    if getattr(theirs, "global_pool", None) != "token":
        raise UserError(f"{run.record.key}: as Roboflow's reid builds {architecture}, its feature is no class token")
    expected = {name: value.shape for name, value in theirs.state_dict().items()}
    for name in sorted(expected.keys() | tensors.keys()):
        ours = tensors[name].shape if name in tensors else None
        if ours != expected.get(name):
            raise UserError(
                f"{run.record.key}: Roboflow's reid builds {architecture} for images of one size only: tensor {name!r} "
                f"is {list(expected.get(name, ()))} there, {list(ours or ())} here; train with size: weights"
            )
