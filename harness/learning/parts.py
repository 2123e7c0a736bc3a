"""Part features: horizontal stripes of a backbone's map, each with its own BatchNorm neck (Sun et al., ECCV 2018)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, normalize

from harness.errors import UserError
from harness.learning import ranks
from harness.learning.algorithm import RunContext
from harness.learning.batchnorm import GroupedBatchNorm1d
from harness.learning.networks import ReidNetwork


class PartEmbedding(NamedTuple):
    """Neck features of whole images [B, d] and of their stripes, from the top down [B, parts, d], float32."""

    whole: Tensor
    parts: Tensor

    @property
    def normalized(self) -> Tensor:
        """L2-normalized: the whole image's first, then the stripes' [B, 1 + parts, d]."""
        return normalize(torch.cat([self.whole[:, None], self.parts], 1), dim=2)


class PartNetwork(nn.Module):
    """A network that also looks at stripes of its map: images [B, 3, H, W] -> `PartEmbedding`.

    Stripes are as equal as the rows of the map allow: they overlap where it has not a multiple of `parts` rows. Raises
    UserError for images whose map has fewer rows than there are stripes.
    """

    def __init__(self, network: ReidNetwork, parts: int) -> None:
        super().__init__()
        self.network = network
        self.necks = nn.ModuleList(GroupedBatchNorm1d(network.features, network.neck.groups) for _ in range(parts))
        for neck in self.necks:
            neck.bias.requires_grad_(False)

    def forward(self, images: Tensor) -> PartEmbedding:
        x = self.network.backbone(images).float()
        if x.shape[2] < len(self.necks):
            raise UserError(
                f"{len(self.necks)} parts, but the backbone's map of images of {images.shape[2]}×{images.shape[3]} has "
                f"{x.shape[2]} rows: choose fewer parts, or higher images"
            )
        with torch.autocast(images.device.type, enabled=False):
            stripes = adaptive_avg_pool2d(x, (len(self.necks), 1))[..., 0].unbind(2)
            parts = [neck(stripe) for neck, stripe in zip(self.necks, stripes, strict=True)]
            return PartEmbedding(self.network.neck(self.network.pool(x)), torch.stack(parts, 1))


def with_parts(run: RunContext, network: ReidNetwork, parts: int) -> PartNetwork:
    """Return `network` with fresh necks for `parts` stripes, which are registered in the run's state."""
    whole = PartNetwork(network, parts).to(run.device)
    ranks.gather_features(whole)
    run.state.modules["part_necks"] = whole.necks
    return whole
