"""What every backbone has in common: what it builds, how wide it is, where its weights come from, what they expect."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from harness.learning.normalization import IMAGENET, Normalization
from harness.specs.base import Frozen

if TYPE_CHECKING:
    from torch import Tensor, nn

Norm = Callable[[int], "nn.Module"]
"""From a number of channels to their 2-d BatchNorm."""


class Published(NamedTuple):
    """A file of weights: its address, and its name in `data/weights/`."""

    url: str
    file: str
    other: str
    """Name there of other weights for the same network, which a user brings."""
    repository: str | None = None
    """Of the Hugging Face Hub, if it lies there."""


class BackboneKind(Frozen):
    """A kind of backbone: images [B, 3, H, W] -> maps [B, width, h, w]."""

    kind: str
    features: ClassVar[int]
    """Channels of the maps, where all networks of the kind have as many."""
    class_token: ClassVar[bool] = False
    """Whether the network (or some of the family) has a class token, for the pooling `token`."""
    initialized: ClassVar[bool] = False
    """Whether `build` draws the weights as the authors do; if not, convolutions get He et al.'s normal ones."""
    names: ClassVar[str] = "torchvision"
    """Whose names its tensors have in files of weights."""
    imagenet: ClassVar[str | None] = None
    """Address of torchvision's ImageNet weights; None if there are none."""

    @property
    def width(self) -> int:
        """Channels of the maps."""
        return self.features

    @abstractmethod
    def build(self, norm: Norm) -> nn.Module:
        """Return the network with random weights, its BatchNorm layers made by `norm`."""

    def weights(self, init: str) -> Published | None:
        """Return the file that `init` ("imagenet" or "pretrained") stands for; None: there is none."""
        if init != "imagenet" or self.imagenet is None:
            return None
        return Published(self.imagenet, self.imagenet.rpartition("/")[2], f"{self.kind}.pth")

    @property
    def normalization(self) -> Normalization:
        """What the published weights expect of pixels."""
        return IMAGENET

    def published(self, name: str) -> str:
        """Return what a file of weights calls tensor `name` of `build()`: the same, unless a family says otherwise."""
        return name

    def fitted(self, name: str, value: Tensor, own: Tensor) -> Tensor:
        """Return a file's tensor, named as there, as the network takes it: changed where the image's size demands it.

        `own` is the network's tensor of that name.
        """
        return value

    def takes_weights_of(self, other: BackboneKind) -> bool:
        """Whether a network of the other kind has the tensors of this one, but for what `fitted` changes."""
        return self == other
