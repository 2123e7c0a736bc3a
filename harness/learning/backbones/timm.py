"""Any network of timm by its name (Wightman, "PyTorch image models"), without its head."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, PositiveInt

from harness.learning.backbones.base import BackboneKind, Norm, Published
from harness.learning.normalization import Normalization

if TYPE_CHECKING:
    from torch import Tensor, nn

HUB = "https://huggingface.co/{repository}/resolve/main/model.safetensors"
"""Where timm's authors publish weights."""
NET = "net."
"""Before the names of timm's tensors in ours."""
POSITIONS = "pos_embed"
"""What timm calls the embeddings of positions."""
Size = Literal["dataset", "weights"] | tuple[PositiveInt, PositiveInt]


class Timm(BackboneKind):
    """A network of timm by name: ViT, ConvNeXt, EfficientNet and a thousand others."""

    kind: Literal["timm"]
    name: str = Field(
        pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)?$",
        description="as timm.list_models() has it; with the tag of its weights, such as vit_small_patch16_224.dino",
    )
    size: Size = Field(
        description="height and width that it computes at, other images are resized to it; `dataset`: the images' own; "
        "`weights`: what its weights were trained at"
    )
    last_stride: Literal[1, 2] = Field(description="1: the last halving of the map is left out, where there is one")
    drop_path: float = Field(ge=0, lt=1, description="chance to skip a block in training, rising from 0 to this")

    class_token: ClassVar[bool] = True
    initialized: ClassVar[bool] = True
    names: ClassVar[str] = "timm"

    @property
    def width(self) -> int:
        return _width(self.name)

    @property
    def normalization(self) -> Normalization:
        from harness.learning.timm import config

        known = config(self.name)
        (red, green, blue), (of_red, of_green, of_blue) = known.mean, known.std
        return Normalization((red, green, blue), (of_red, of_green, of_blue))

    def build(self, norm: Norm) -> nn.Module:
        from harness.learning.timm import build

        return build(self.name, self._size, self.last_stride, self.drop_path, norm)

    def weights(self, init: str) -> Published | None:
        if init != "pretrained" or "." not in self.name:
            return None
        repository = f"timm/{self.name}"
        return Published(HUB.format(repository=repository), f"{self.name}.safetensors", f"{self.name}.pth", repository)

    def published(self, name: str) -> str:
        return name.removeprefix(NET)

    def fitted(self, name: str, value: Tensor, own: Tensor) -> Tensor:
        from harness.learning.timm import grid, resized_positions

        if name != POSITIONS or self._size is None or value.shape == own.shape:
            return value
        return resized_positions(value, own, grid(self.name, self._size))

    def takes_weights_of(self, other: BackboneKind) -> bool:
        return isinstance(other, Timm) and other.name.partition(".")[0] == self.name.partition(".")[0]

    @property
    def _size(self) -> tuple[int, int] | None:
        return None if self.size == "weights" else stated_size(self.size)


def stated_size(size: Literal["dataset", "weights"] | tuple[int, int]) -> tuple[int, int]:
    """Return a size that the resolved spec states in numbers. Raises ValueError if it is another."""
    if isinstance(size, str):
        raise ValueError(f"size: {size} means nothing without a dataset")  # noqa: TRY004
    return size


@lru_cache
def _width(name: str) -> int:
    from harness.learning.timm import width

    return width(name)
