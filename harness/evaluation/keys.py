"""Sort keys: similarities as integers in ranking order, so that sorting resolves ties alike on every device."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

MAGNITUDE = 0x7FFFFFFF
# Key of minus infinity at index 0: keys from here on belong to items that were removed from the ranking.
OUT = 0x7F800000 << 32


def ranking_keys(similarity: "Tensor", index: "Tensor") -> "Tensor":
    """Return int64 keys of float32 similarities: closer is smaller, ties are ordered by `index` (below 2^32).

    `similarity` and `index` (int64) are broadcast against each other. As integers, positive floats ascend with their
    value and negative ones with their magnitude; keys invert the order of positive floats and place negatives after
    them. Negative zero is zero. The key of NaN is undefined, since NaN has no place in a ranking.
    """
    import torch

    bits = (similarity + 0.0).view(torch.int32)
    farness = torch.where(bits < 0, bits & MAGNITUDE, ~bits)
    return farness.long().bitwise_left_shift_(32).bitwise_or_(index)


def index_of(keys: "Tensor") -> "Tensor":
    """Return the indices that `keys` were made of."""
    return keys & 0xFFFFFFFF
