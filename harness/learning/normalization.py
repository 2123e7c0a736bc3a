"""What a network expects of pixels in [0, 1]: (x - mean) / std, per channel. It belongs to the weights."""

from __future__ import annotations

from typing import NamedTuple

Channels = tuple[float, float, float]


class Normalization(NamedTuple):
    """Mean and standard deviation of red, green and blue in [0, 1]."""

    mean: Channels
    std: Channels


IMAGENET = Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""ImageNet's, as torchvision states them: what networks get whose weights say nothing else."""
