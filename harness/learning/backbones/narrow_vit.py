"""The transformer of the drawn benchmark: what ViT-S is to ResNet-50, this is to the narrow network."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, PositiveInt

from harness.learning.backbones.base import BackboneKind, Norm
from harness.learning.backbones.timm import POSITIONS, stated_size

if TYPE_CHECKING:
    from torch import Tensor, nn


class NarrowViT(BackboneKind):
    """A vision transformer of 0.5 M parameters with a convolutional stem, made for 64×32 images on a CPU."""

    kind: Literal["narrow-vit"]
    size: Literal["dataset"] | tuple[PositiveInt, PositiveInt] = Field(
        description="height and width that it computes at, multiples of 8; `dataset`: the images' own"
    )
    drop_path: float = Field(ge=0, lt=1, description="chance to skip a block in training, rising from 0 to this")

    features: ClassVar[int] = 96
    class_token: ClassVar[bool] = True
    initialized: ClassVar[bool] = True
    names: ClassVar[str] = "timm"

    def build(self, norm: Norm) -> nn.Module:
        from harness.learning.timm import narrow_vit

        return narrow_vit(stated_size(self.size), self.drop_path, self.features, norm)

    def fitted(self, name: str, value: Tensor, own: Tensor) -> Tensor:
        from harness.learning.timm import narrow_grid, resized_positions

        return resized_positions(value, own, narrow_grid(stated_size(self.size))) if name == POSITIONS else value

    def takes_weights_of(self, other: BackboneKind) -> bool:
        return isinstance(other, NarrowViT)
