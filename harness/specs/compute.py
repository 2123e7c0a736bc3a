"""How much compute a run gets, and on what network: everything about training that is not the method's own idea."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from harness.specs.base import Frozen

Backbone = Literal["narrow", "resnet18", "resnet34", "resnet50", "resnet101", "resnet50-ibn-a"]
Share = float


class Network(Frozen):
    """The embedding network."""

    backbone: Backbone = Field(description="`narrow`: a 0.7 M residual net for 64×32 images on a CPU")
    pooling: Literal["average", "gem"] = Field(description="`gem`: generalized mean, p learned from 3")
    stem_relu: bool = Field(description="false: no ReLU after the stem, as in MMT and SSKD")
    bn_groups: PositiveInt = Field(
        description="BatchNorm sees contiguous chunks of the batch; 4 is the published 4-GPU DataParallel"
    )


class BatchShape(Frozen):
    """P×K batches: `identities` (pseudo-)identities with `instances` images each."""

    identities: PositiveInt
    instances: PositiveInt

    @property
    def size(self) -> int:
        """Images per batch."""
        return self.identities * self.instances


class Optimizer(Frozen):
    """Adam on every parameter, as the field does."""

    learning_rate: PositiveFloat
    weight_decay: float = Field(ge=0)


class Schedule(Frozen):
    """The factor on the learning rate, as a function of the epoch (counted from 1)."""

    kind: Literal["constant", "step", "cosine"]
    warmup_epochs: NonNegativeInt = Field(description="epoch e of them has factor + (1 - factor) · e / epochs")
    warmup_factor: float = Field(gt=0, le=1)
    milestones: tuple[PositiveInt, ...] = Field(
        description="`step`: the first epochs that run at a rate decayed once more"
    )
    decay: float = Field(gt=0, le=1, description="`step`: factor at each milestone; `cosine`: the final factor")

    @model_validator(mode="after")
    def _fits_kind(self) -> Schedule:
        if (self.kind == "step") != bool(self.milestones):
            raise ValueError("milestones belong to kind 'step', and 'step' needs at least one")
        return self


class Augment(Frozen):
    """Random transforms of a training image, drawn independently per image (and per view)."""

    flip: Share = Field(ge=0, le=1, description="probability of a horizontal flip")
    pad: NonNegativeInt = Field(description="zero padding in pixels before the random crop")
    erase: Share = Field(ge=0, le=1, description="probability of random erasing (area 2-40 %)")
    jitter: Share = Field(ge=0, le=0.9, description="brightness, contrast and saturation factors in 1 ± jitter")


class Compute(Frozen):
    """Network, batch, length, optimizer, schedule and augmentation of a run."""

    network: Network
    batch: BatchShape
    epochs: NonNegativeInt
    iterations: NonNegativeInt = Field(description="iterations per epoch")
    optimizer: Optimizer
    schedule: Schedule
    augment: Augment
    precision: Literal["float32", "bf16"] = Field(description="of the network; memory, losses, distances are float32")
    evaluate_every: PositiveInt = Field(
        description="epochs between evaluations during training (only to mark the best)"
    )
