"""Similarities as integers that ascend in ranking order, so that sorting on any device resolves ties alike."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

MAGNITUDE = 0x7FFFFFFF
# The key of minus infinity at index 0: from here on stands what was taken out of the ranking.
OUT = 0x7F800000 << 32


def ranking_keys(similarity: "Tensor", index: "Tensor") -> "Tensor":
    """Return int64 keys of float32 similarities: closer is smaller, equally close goes by `index` (below 2^32).

    `similarity` and `index` (int64) are broadcast against each other. As integers, positive floats ascend with their
    value and negative ones with their magnitude; keys turn the former round and put the latter behind. Negative zero
    is zero. NaN has no place in a ranking, so its key means nothing.
    """
    import torch

    bits = (similarity + 0.0).view(torch.int32)
    farness = torch.where(bits < 0, bits & MAGNITUDE, ~bits)
    return farness.long().bitwise_left_shift_(32).bitwise_or_(index)


def index_of(keys: "Tensor") -> "Tensor":
    """Return the indices that went into `keys`."""
    return keys & 0xFFFFFFFF
