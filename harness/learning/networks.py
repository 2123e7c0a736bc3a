"""The embedding networks: a backbone, pooling, and a BatchNorm neck with frozen bias (Luo et al., "bag of tricks")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from harness.learning.batchnorm import GroupedBatchNorm1d, GroupedBatchNorm2d
from harness.learning.state import load_into
from harness.specs.compute import Network


class Embedding(NamedTuple):
    """What a network says of a batch: `pooled` before and `neck` after the BatchNorm neck, float32 [B, d]."""

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


class _NarrowBlock(nn.Module):
    """Two 3×3 convolutions with a shortcut (He et al., CVPR 2016, Fig. 2)."""

    def __init__(self, inputs: int, outputs: int, stride: int, groups: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = GroupedBatchNorm2d(outputs, groups)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = GroupedBatchNorm2d(outputs, groups)
        self.shortcut = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride, bias=False), GroupedBatchNorm2d(outputs, groups)
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv1(x)).relu_()
        total: Tensor = self.bn2(self.conv2(y)) + self.shortcut(x)
        return total.relu_()


def _narrow(groups: int) -> nn.Module:
    """A 5×5 stem and four blocks of 24, 48, 96, 192 channels: 0.7 M parameters, made for 64×32 images on a CPU."""
    widths, strides = (24, 48, 96, 192), (2, 2, 2, 1)
    stem = [nn.Conv2d(3, widths[0], 5, 2, 2, bias=False), GroupedBatchNorm2d(widths[0], groups), nn.ReLU(inplace=True)]
    inputs = (widths[0], *widths[:-1])
    blocks = [_NarrowBlock(i, o, stride, groups) for i, o, stride in zip(inputs, widths, strides, strict=True)]
    return nn.Sequential(*stem, *blocks)


class _InstanceBatchNorm(nn.Module):
    """IBN-a: instance normalization on half of the channels, BatchNorm on the rest (Pan et al., ECCV 2018)."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.instance_channels = channels // 2
        self.IN = nn.InstanceNorm2d(self.instance_channels, affine=True)
        self.BN = GroupedBatchNorm2d(channels - self.instance_channels, groups)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat(
            [
                self.IN(x[:, : self.instance_channels].contiguous()),
                self.BN(x[:, self.instance_channels :].contiguous()),
            ],
            dim=1,
        )


def _resnet(spec: Network) -> tuple[nn.Module, int]:
    """A torchvision ResNet without its head, with last stride 1, and its number of features."""
    name = spec.backbone.removesuffix("-ibn-a")
    import torchvision  # here, since importing it takes longer than loading torch, and narrow networks do without

    net = torchvision.models.get_model(name, norm_layer=lambda features: GroupedBatchNorm2d(features, spec.bn_groups))
    first = net.layer4[0]
    for convolution in (first.conv1, first.conv2, first.downsample[0]):
        convolution.stride = (1, 1)
    if spec.backbone.endswith("-ibn-a"):
        for layer in (net.layer1, net.layer2, net.layer3):
            for block in layer:
                block.bn1 = _InstanceBatchNorm(block.bn1.num_features, spec.bn_groups)
    features = net.fc.in_features
    stem = [net.conv1, net.bn1, *([net.relu] if spec.stem_relu else []), net.maxpool]
    return nn.Sequential(*stem, net.layer1, net.layer2, net.layer3, net.layer4), features


def build(spec: Network, seed: int, device: torch.device, tensors: Mapping[str, Tensor] | None = None) -> ReidNetwork:
    """Return a network on `device`, random from `seed` (0 … 2⁶³-1) or holding `tensors` (a checkpoint's).

    Raises UserError if the tensors belong to another architecture.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone, features = (_narrow(spec.bn_groups), 192) if spec.backbone == "narrow" else _resnet(spec)
        for module in backbone.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    pool = GeMPool() if spec.pooling == "gem" else AveragePool()
    network = ReidNetwork(backbone, pool, features, spec.bn_groups)
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
