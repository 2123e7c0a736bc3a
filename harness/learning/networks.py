"""The embedding networks: a backbone, pooling, and a BatchNorm neck with frozen bias (Luo et al., "bag of tricks")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from harness.errors import UserError
from harness.learning.batchnorm import GroupedBatchNorm1d, GroupedBatchNorm2d
from harness.learning.state import load_into
from harness.specs.compute import Network


class Embedding(NamedTuple):
    """Output of a network for a batch: `pooled` before and `neck` after the BatchNorm neck, float32 [B, d]."""

    pooled: Tensor
    neck: Tensor

    @property
    def normalized(self) -> Tensor:
        """The L2-normalized neck feature [B, d]: what is compared, clustered and evaluated."""
        return normalize(self.neck, dim=1)


class ReidNetwork(nn.Module):
    """Images [B, 3, H, W] -> `Embedding`. The features are float32 whatever the precision of the backbone."""

    def __init__(self, backbone: nn.Module, pool: nn.Module, features: int, bn_groups: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.pool = pool
        self.features = features
        self.neck = GroupedBatchNorm1d(features, bn_groups)
        self.neck.bias.requires_grad_(False)

    def forward(self, images: Tensor) -> Embedding:
        pooled = self.pool(self.backbone(images).float())
        with torch.autocast(images.device.type, enabled=False):
            return Embedding(pooled, self.neck(pooled))


class AveragePool(nn.Module):
    """Mean over the map: [B, d, h, w] -> [B, d]."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3))


class GeMPool(nn.Module):
    """Generalized mean with a learned exponent, from 3 (Radenović et al., TPAMI 2019): [B, d, h, w] -> [B, d]."""

    def __init__(self) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.full((1,), 3.0))

    def forward(self, x: Tensor) -> Tensor:
        pooled: Tensor = x.clamp(min=1e-6).pow(self.p).mean(dim=(2, 3))
        return pooled.pow(1 / self.p)


class TokenPool(nn.Module):
    """The first token: [B, T, d] -> [B, d]."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, 0]


def give_tokens(backbone: Any) -> None:
    """Have a transformer give its tokens instead of their map. Raises UserError if none of them is a class token."""
    if not getattr(backbone, "class_token", False):
        raise UserError("pooling: 'token': this backbone has no class token; say average or gem")
    backbone.gives = "tokens"


def build(spec: Network, seed: int, device: torch.device, tensors: Mapping[str, Tensor] | None = None) -> ReidNetwork:
    """Return a network on `device`, random from `seed` (0 … 2⁶³-1) or holding `tensors` (a checkpoint's).

    Raises UserError if the tensors belong to another architecture, and for a backbone or pooling that there is not.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone = spec.backbone.build(lambda channels: GroupedBatchNorm2d(channels, spec.bn_groups))
        for module in () if spec.backbone.initialized else backbone.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    if spec.pooling.takes == "tokens":
        give_tokens(backbone)
    network = ReidNetwork(backbone, spec.pooling.build(), spec.backbone.width, spec.bn_groups)
    if tensors is not None:
        load_into(network, tensors, "init")
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def classifier(classes: int, features: int, seed: int, device: torch.device) -> nn.Linear:
    """Return a bias-free linear classifier, weights N(0, 0.001²) as in the strong baseline."""
    with torch.random.fork_rng(devices=[]):
        layer = nn.Linear(features, classes, bias=False)
        torch.manual_seed(seed)
        nn.init.normal_(layer.weight, std=0.001)
    return layer.to(device)


def centroid_classifier(centroids: Tensor) -> nn.Linear:
    """Return a bias-free linear classifier whose rows are the cluster centroids [C, d] (MMT, SSKD)."""
    layer = nn.Linear(centroids.shape[1], len(centroids), bias=False, device="meta")
    layer.weight = nn.Parameter(centroids.detach().clone())
    return layer
