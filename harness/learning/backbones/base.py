"""What every backbone has in common: what it builds, how wide it is, and where its ImageNet weights come from."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from harness.specs.base import Frozen

if TYPE_CHECKING:
    from torch import nn

Norm = Callable[[int], "nn.Module"]
"""From a number of channels to their 2-d BatchNorm."""


class BackboneKind(Frozen):
    """A kind of backbone: images [B, 3, H, W] -> maps [B, features, h, w]."""

    kind: str
    features: ClassVar[int]
    imagenet: ClassVar[str | None] = None
    """Address of the published ImageNet weights; None if there are none."""

    @abstractmethod
    def build(self, norm: Norm) -> nn.Module:
        """Return the network with random weights, its BatchNorm layers made by `norm`."""

    def published(self, name: str) -> str:
        """Return what a file of weights calls tensor `name` of `build()`: the same, unless a family says otherwise."""
        return name
