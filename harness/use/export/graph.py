"""The network as one function from a consumer's images to L2-normalized features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import normalize

from harness.errors import UserError
from harness.learning.algorithm import Algorithm
from harness.learning.networks import ReidNetwork, build
from harness.learning.normalization import Normalization
from harness.pipeline.records import Input
from harness.use.model import TrainedRun

AS_IT_IS = Normalization((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


@dataclass(frozen=True)
class Contract:
    """What a consumer feeds: RGB in [0, 1], float32 or float16 [N, 3, H, W], normalized or not."""

    normalization: Normalization | Literal["own"] | None
    """What the consumer itself computes of it: (x - mean) / std with fixed values, with those of the model, or none."""

    def of(self, shown: Input) -> Normalization | None:
        """Return what the consumer normalizes with."""
        return shown.normalization if self.normalization == "own" else self.normalization

    def fed(self, pixels: NDArray[np.uint8], shown: Input, half: bool) -> Tensor:
        """Return what the consumer would feed for crops [N, H, W, 3] of the network's own size."""
        images = torch.from_numpy(np.array(pixels)).permute(0, 3, 1, 2).float() / 255
        if by := self.of(shown):
            mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in by)
            images = (images - mean) / std
        return images.half() if half else images


class Graph(nn.Module):
    """A consumer's images -> L2-normalized features, float32 [N, d]."""

    scale: Tensor
    shift: Tensor

    def __init__(self, network: ReidNetwork, shown: Input, contract: Contract, half: bool) -> None:
        super().__init__()
        self.network = network.eval()
        dtype = torch.float16 if half else torch.float32
        self.network.backbone.to(dtype)  # pooling and neck compute in float32 always, as they do in training
        given, wanted = contract.of(shown) or AS_IT_IS, shown.normalization
        self.normalizes = given != wanted
        (mean, std), (our_mean, our_std) = (map(torch.tensor, of) for of in (given, wanted))
        self.register_buffer("scale", (std / our_std).to(dtype).view(1, 3, 1, 1))
        self.register_buffer("shift", ((mean - our_mean) / our_std).to(dtype).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        if self.normalizes:
            images = images * self.scale + self.shift
        pooled = self.network.pool(self.network.backbone(images).float())
        return normalize(self.network.neck(pooled), dim=1)


def graph(run: TrainedRun, contract: Contract, half: bool) -> Graph:
    """Return the graph of a run, on the CPU. Raises UserError if the run's features come from no network."""
    if run.algorithm.embedder.__func__ is not Algorithm.embedder.__func__:  # type: ignore[attr-defined]
        raise UserError(f"{run.record.key}: its features are no network's, so there is nothing to export")
    network = build(run.method.compute.network, 0, torch.device("cpu"), run.tensors)
    return Graph(network.to(memory_format=torch.contiguous_format), run.input, contract, half)  # type: ignore[call-overload]


def example(run: TrainedRun, contract: Contract, half: bool) -> Tensor:
    """Return images to trace a graph with: two, since a batch of one is taken for a constant."""
    pixels = np.random.default_rng(0).integers(0, 256, (2, run.input.height, run.input.width, 3), np.uint8)
    return contract.fed(pixels, run.input, half)
