"""The backbones, by kind. A new one is a file here and its class in this table."""

from typing import Annotated

from pydantic import Field

from harness.learning.backbones.mobilenet_v2 import MobileNetV2
from harness.learning.backbones.narrow import Narrow
from harness.learning.backbones.resnet import ResNet18, ResNet50

Backbone = Annotated[Narrow | ResNet18 | ResNet50 | MobileNetV2, Field(discriminator="kind")]

__all__ = ["Backbone", "MobileNetV2", "Narrow", "ResNet18", "ResNet50"]
