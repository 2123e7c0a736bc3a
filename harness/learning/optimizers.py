"""The optimizers, by kind."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from pydantic import Field, PositiveFloat

from harness.specs.base import Frozen

if TYPE_CHECKING:
    import torch
    from torch import nn


class Adam(Frozen):
    """Adam on every parameter, weight decay on all of them, as the field does (Kingma and Ba, ICLR 2015)."""

    kind: Literal["adam"]
    learning_rate: PositiveFloat = Field(description="in an epoch whose factor is 1")
    weight_decay: float = Field(ge=0, description="added to the gradient, times the weight")

    def build(self, modules: Iterable[nn.Module]) -> torch.optim.Optimizer:
        """Return the optimizer of every trainable parameter of `modules`."""
        from harness.learning.optim import adam

        return adam(modules, self)


Optimizer = Adam
"""One kind so far; a second makes this a union over `kind`, like `Schedule`."""
