"""The backbones, by kind. A new one is a file here and its class in this table."""

from typing import Annotated

from pydantic import Field

from harness.learning.backbones.mobilenet_v2 import MobileNetV2
from harness.learning.backbones.narrow import Narrow
from harness.learning.backbones.narrow_vit import NarrowViT
from harness.learning.backbones.resnet import ResNet18, ResNet50
from harness.learning.backbones.timm import Timm

Backbone = Annotated[Narrow | NarrowViT | ResNet18 | ResNet50 | MobileNetV2 | Timm, Field(discriminator="kind")]

__all__ = ["Backbone", "MobileNetV2", "Narrow", "NarrowViT", "ResNet18", "ResNet50", "Timm"]
