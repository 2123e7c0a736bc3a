"""The optimizers, by kind."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Literal

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


class SGD(Frozen):
    """Stochastic gradient descent with momentum, weight decay on every parameter, as the field trains transformers."""

    kind: Literal["sgd"]
    learning_rate: PositiveFloat = Field(description="in an epoch whose factor is 1")
    momentum: float = Field(ge=0, lt=1, description="share of the step before that is added to this one")
    weight_decay: float = Field(ge=0, description="added to the gradient, times the weight")

    def build(self, modules: Iterable[nn.Module]) -> torch.optim.Optimizer:
        """Return the optimizer of every trainable parameter of `modules`."""
        from harness.learning.optim import sgd

        return sgd(modules, self)


Optimizer = Annotated[Adam | SGD, Field(discriminator="kind")]
