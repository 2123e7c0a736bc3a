"""torchvision's ResNets (He et al., CVPR 2016) without their head, with last stride 1, as the field uses them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from harness.learning.backbones.base import BackboneKind, Norm

if TYPE_CHECKING:
    from torch import nn


class ResNet(BackboneKind):
    """What ResNets of every depth share; each depth states its own `kind`, width and weights."""

    stem_relu: bool = Field(description="false: no ReLU after the stem, as in MMT and SSKD")

    def build(self, norm: Norm) -> nn.Module:
        import torchvision  # here, since importing it takes longer than loading torch, and narrow networks do without
        from torch import nn

        net = torchvision.models.get_model(self.kind, norm_layer=norm)
        first = net.layer4[0]
        for convolution in (first.conv1, first.conv2, first.downsample[0]):
            convolution.stride = (1, 1)
        return nn.Sequential(*(getattr(net, part) for part in self._parts()))

    def published(self, name: str) -> str:
        part, _, rest = name.partition(".")
        return f"{self._parts()[int(part)]}.{rest}"

    def _parts(self) -> list[str]:
        """Torchvision's names of the parts, in their order here."""
        return ["conv1", "bn1", *(["relu"] * self.stem_relu), "maxpool", "layer1", "layer2", "layer3", "layer4"]


class ResNet18(ResNet):
    """ResNet-18, last stride 1 (He et al., CVPR 2016)."""

    kind: Literal["resnet18"]

    features: ClassVar[int] = 512
    imagenet: ClassVar[str] = "https://download.pytorch.org/models/resnet18-f37072fd.pth"


class ResNet50(ResNet):
    """ResNet-50, last stride 1 (He et al., CVPR 2016)."""

    kind: Literal["resnet50"]

    features: ClassVar[int] = 2048
    imagenet: ClassVar[str] = "https://download.pytorch.org/models/resnet50-0676ba61.pth"
