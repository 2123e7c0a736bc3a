"""torchvision's MobileNetV2 (Sandler et al., CVPR 2018) without its head, with last stride 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from harness.learning.backbones.base import BackboneKind, Norm

if TYPE_CHECKING:
    from torch import nn

LAST_STRIDE = 14
"""The block of `features` that halves the map for the last time."""


class MobileNetV2(BackboneKind):
    """MobileNetV2, last stride 1 (Sandler et al., CVPR 2018)."""

    kind: Literal["mobilenet-v2"]

    features: ClassVar[int] = 1280
    imagenet: ClassVar[str] = "https://download.pytorch.org/models/mobilenet_v2-b0353104.pth"

    def build(self, norm: Norm) -> nn.Module:
        import torchvision  # here, since importing it takes longer than loading torch

        layers: Any = torchvision.models.mobilenet_v2(norm_layer=norm).features
        layers[LAST_STRIDE].conv[1][0].stride = (1, 1)
        return layers  # type: ignore[no-any-return]

    def published(self, name: str) -> str:
        return f"features.{name}"
