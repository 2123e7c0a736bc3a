"""The narrow backbone of the drawn benchmark; its layers are in `harness/learning/narrow.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from harness.learning.backbones.base import BackboneKind, Norm

if TYPE_CHECKING:
    from torch import nn


class Narrow(BackboneKind):
    """A residual network of 0.7 M parameters, made for 64×32 images on a CPU."""

    kind: Literal["narrow"]

    features: ClassVar[int] = 192

    def build(self, norm: Norm) -> nn.Module:
        from harness.learning.narrow import narrow

        return narrow(norm)
