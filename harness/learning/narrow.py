"""The layers of the narrow backbone."""

from __future__ import annotations

from torch import Tensor, nn

from harness.learning.backbones.base import Norm


class NarrowBlock(nn.Module):
    """Two 3×3 convolutions with a shortcut (He et al., CVPR 2016, Fig. 2)."""

    def __init__(self, inputs: int, outputs: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = norm(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = norm(outputs)
        self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), norm(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv1(x)).relu_()
        total: Tensor = self.bn2(self.conv2(y)) + self.shortcut(x)
        return total.relu_()


def narrow(norm: Norm) -> nn.Module:
    """Return a 5×5 stem and four blocks of 24, 48, 96, 192 channels: a sixteenth of the image's sides."""
    widths, strides = (24, 48, 96, 192), (2, 2, 2, 1)
    stem = [nn.Conv2d(3, widths[0], 5, 2, 2, bias=False), norm(widths[0]), nn.ReLU(inplace=True)]
    inputs = (widths[0], *widths[:-1])
    blocks = [NarrowBlock(i, o, stride, norm) for i, o, stride in zip(inputs, widths, strides, strict=True)]
    return nn.Sequential(*stem, *blocks)
