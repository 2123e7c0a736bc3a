"""timm's networks as backbones: their maps, or their tokens for the pooling `token`."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise
from typing import Any, Literal

import timm
import torch
from timm.layers.hybrid_embed import HybridEmbed
from timm.layers.pos_embed import resample_abs_pos_embed
from timm.models import PretrainedCfg, get_pretrained_cfg
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn.functional import interpolate

from harness.errors import UserError
from harness.learning.backbones.base import Norm
from harness.specs.yamlfile import nearest

STEM_STRIDE = 8
"""Pixels of the narrow transformer's images per token, in each direction."""
FIELD_RATIO = 2
"""Height over width of the images of persons: a grid of positions that is no square has this shape."""


class TimmBackbone(nn.Module):
    """Images [B, 3, H, W] -> maps [B, d, h, w], or tokens [B, 1 + h·w, d], the class token first, if `gives` says so.

    Images of another size than `size` are resized to it.
    """

    def __init__(self, net: nn.Module, size: tuple[int, int]) -> None:
        super().__init__()
        self.net: Any = net
        self.size = size
        self.gives: Literal["map", "tokens"] = "map"

    @property
    def class_token(self) -> bool:
        """Whether there is a class token."""
        return getattr(self.net, "cls_token", None) is not None

    def forward(self, images: Tensor) -> Tensor:
        if tuple(images.shape[2:]) != self.size:
            smaller = images.shape[2] > self.size[0] or images.shape[3] > self.size[1]
            images = interpolate(images, self.size, mode="bilinear", antialias=smaller)
        found: Tensor = self.net.forward_features(images)
        if found.ndim == 4:
            return found.permute(0, 3, 1, 2) if getattr(self.net, "output_fmt", "NCHW") == "NHWC" else found
        if self.gives == "tokens":
            return found
        patches = found[:, self.net.num_prefix_tokens :].transpose(1, 2)
        rows, columns = self.net.patch_embed.grid_size
        return patches.reshape(len(patches), -1, rows, columns)


def config(name: str) -> PretrainedCfg:
    """Return what timm knows of a network's weights. Raises UserError with the nearest name."""
    try:
        found: PretrainedCfg | None = get_pretrained_cfg(name, allow_unregistered=False)
    except RuntimeError as error:
        architecture, _, tag = name.partition(".")
        if timm.is_model(architecture):
            tags = [known.partition(".")[2] for known in timm.list_pretrained(f"{architecture}.*")]
            raise UserError(
                f"timm: {architecture} has no weights {tag!r}{nearest(tag, tags)}; there are: {_said(tags)}"
            ) from error
        known = timm.list_models()
        raise UserError(f"timm: no network is called {architecture!r}{nearest(architecture, known)}") from error
    if found is None:
        raise UserError(f"timm: nothing is known of the weights of {name!r}")
    return found


def width(name: str) -> int:
    """Return the channels of a network's maps."""
    config(name)
    with torch.device("meta"):
        net: Any = timm.create_model(name, num_classes=0)
    return int(net.num_features)


def build(name: str, size: tuple[int, int] | None, last_stride: int, drop_path: float, norm: Norm) -> TimmBackbone:
    """Return timm's network `name` with random weights. Raises UserError for what its family has not."""
    known = config(name)
    own = (known.input_size[1], known.input_size[2])
    options: dict[str, Any] = {"drop_path_rate": drop_path} if drop_path else {}
    net = _created(name, size or own, size is not None and size != own, options)
    patch = getattr(getattr(net, "patch_embed", None), "patch_size", (1, 1))
    if (size or own)[0] % patch[0] or (size or own)[1] % patch[1]:
        raise UserError(f"timm: {name} needs a size of multiples of {patch[0]}×{patch[1]}, not {size}")
    if last_stride == 1:
        _keep_last_map(net, name, size or own)
    _group_batchnorms(net, name, norm)
    return TimmBackbone(net, size or own)


def _created(name: str, size: tuple[int, int], other: bool, options: dict[str, Any]) -> nn.Module:
    """Timm's network for images of `size`; families that take any size know no `img_size`."""
    sizes: list[dict[str, Any]] = [{"img_size": size}, {}] if other else [{}]
    for number, sized in enumerate(sizes):
        try:
            return timm.create_model(name, num_classes=0, **sized, **options)
        except (TypeError, ValueError, AssertionError, RuntimeError) as error:
            if number + 1 < len(sizes) and "img_size" in str(error):
                continue
            what = "drop_path" if "drop_path" in str(error) else f"images of {size[0]}×{size[1]}"
            raise UserError(f"timm: {name} cannot be built with {what}: {error}") from error
    raise AssertionError


def _keep_last_map(net: nn.Module, name: str, size: tuple[int, int]) -> None:
    """Give the layers that halve the map for the last time stride 1, as the field does with ResNets."""
    halved: list[tuple[int, nn.Module]] = []

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if inputs[0].ndim == output.ndim == 4 and output.shape[2] < inputs[0].shape[2] > 1:
            halved.append((output.shape[2], module))

    kinds = (nn.Conv2d, nn.AvgPool2d, nn.MaxPool2d)
    hooks = [module.register_forward_hook(note) for module in net.modules() if isinstance(module, kinds)]  # type: ignore[arg-type]
    with torch.no_grad():
        net.eval()(torch.zeros(1, 3, *size))
    net.train()
    for hook in hooks:
        hook.remove()
    last = [module for rows, module in halved if rows == min((rows for rows, _ in halved), default=0)]
    patches = (module for module in last if isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1))
    if not last or any(module.kernel_size == module.stride for module in patches):
        raise UserError(f"last_stride: 1: timm's {name} has no last stride to leave out: say 2")
    for parent in list(net.modules()):
        for child, module in parent.named_children():
            if module in last and isinstance(module, nn.Conv2d):
                module.stride = (1, 1)
            elif module in last:
                setattr(parent, child, nn.Identity())


def _group_batchnorms(net: nn.Module, name: str, norm: Norm) -> None:
    """Replace every BatchNorm by the caller's, weights kept."""
    for parent in list(net.modules()):
        for child, module in parent.named_children():
            if not isinstance(module, nn.BatchNorm2d):
                continue
            ours: Any = norm(module.num_features)
            if type(module) is not nn.BatchNorm2d:
                if ours.groups > 1:
                    raise UserError(f"bn_groups: timm's {name} fuses BatchNorm with what follows: bn_groups must be 1")
                continue
            ours.load_state_dict(module.state_dict())
            ours.eps, ours.momentum = module.eps, module.momentum
            setattr(parent, child, ours)


def grid(name: str, size: tuple[int, int]) -> tuple[int, int]:
    """Return rows and columns of a transformer's patches in images of `size`."""
    with torch.device("meta"):
        rows, columns = build(name, size, 2, 0, nn.BatchNorm2d).net.patch_embed.grid_size
    return rows, columns


def resized_positions(value: Tensor, own: Tensor, grid: tuple[int, int]) -> Tensor:
    """Return position embeddings [1, T, d] of another grid than the own ones, interpolated to it (bicubic).

    A grid that is no square is taken for one of images twice as high as wide. Anything else is returned as it is.
    """
    if value.ndim != 3 or value.shape[::2] != own.shape[::2]:
        return value
    rows, columns = grid
    prefix = own.shape[1] - rows * columns
    patches = value.shape[1] - prefix
    for ratio in (1, FIELD_RATIO):
        theirs = math.isqrt(patches // ratio)
        if ratio * theirs * theirs == patches:
            old = [ratio * theirs, theirs]
            found: Tensor = resample_abs_pos_embed(value, [rows, columns], old, num_prefix_tokens=prefix)
            return found
    return value


def narrow_grid(size: tuple[int, int]) -> tuple[int, int]:
    """Return rows and columns of the narrow transformer's tokens. Raises UserError for a size that is no multiple."""
    if size[0] % STEM_STRIDE or size[1] % STEM_STRIDE:
        raise UserError(f"narrow-vit: size {size[0]}×{size[1]} must be multiples of {STEM_STRIDE}")
    return size[0] // STEM_STRIDE, size[1] // STEM_STRIDE


def narrow_vit(size: tuple[int, int], drop_path: float, width: int, norm: Norm) -> TimmBackbone:
    """Return a transformer of four blocks and three heads on the map of three strided 3×3 convolutions.

    The convolutional stem is what lets it learn from few images (Xiao et al., NeurIPS 2021; Luo et al., arXiv
    2111.12084, who call theirs ICS). Raises UserError for a size that is no multiple of 8.
    """
    narrow_grid(size)
    widths = (3, width // 4, width // 2, width)
    layers = [
        layer
        for inputs, outputs in pairwise(widths)
        for layer in (nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False), norm(outputs), nn.ReLU(inplace=True))
    ]
    net = VisionTransformer(
        size, patch_size=1, num_classes=0, embed_dim=width, depth=4, num_heads=3, drop_path_rate=drop_path,
        embed_layer=partial(HybridEmbed, backbone=nn.Sequential(*layers)),
    )  # fmt: skip
    return TimmBackbone(net, size)


def _said(names: list[str]) -> str:
    return ", ".join(names[:8]) + (" …" if len(names) > 8 else "") or "none"
