"""The learning-rate schedules, by kind: the factor on the learning rate, a pure function of the epoch."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from harness.specs.base import Frozen


class Constant(Frozen):
    """The same learning rate in every epoch."""

    kind: Literal["constant"]

    def factor(self, epoch: int, epochs: int) -> float:
        """Return the factor on the learning rate in `epoch` (from 1) of `epochs`."""
        return 1.0


class Step(Frozen):
    """A learning rate that is decayed at milestones."""

    kind: Literal["step"]
    milestones: tuple[PositiveInt, ...] = Field(
        min_length=1, description="the first epochs (from 1) that run at a rate decayed once more"
    )
    decay: float = Field(gt=0, le=1, description="factor at each milestone")

    def factor(self, epoch: int, epochs: int) -> float:
        """Return the factor on the learning rate in `epoch` (from 1) of `epochs`."""
        return float(self.decay ** sum(epoch >= milestone for milestone in self.milestones))


class Cosine(Frozen):
    """Half a cosine from the full learning rate towards its final factor (Loshchilov and Hutter, ICLR 2017)."""

    kind: Literal["cosine"]
    final: float = Field(gt=0, le=1, description="the factor towards which the rate falls")

    def factor(self, epoch: int, epochs: int) -> float:
        """Return the factor on the learning rate in `epoch` (from 1) of `epochs`."""
        done = (epoch - 1) / epochs
        return self.final + (1 - self.final) * 0.5 * (1 + math.cos(math.pi * done))


Schedule = Annotated[Constant | Step | Cosine, Field(discriminator="kind")]
