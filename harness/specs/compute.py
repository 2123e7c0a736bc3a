"""How much compute a run gets, and on what network: everything about training that is not the method's own idea."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from harness.learning.backbones import Backbone
from harness.learning.optimizers import Optimizer
from harness.learning.pooling import Pooling
from harness.learning.schedules import Schedule
from harness.specs.base import Frozen

Share = float


class Network(Frozen):
    """The embedding network."""

    backbone: Backbone = Field(description="maps images to feature maps")
    pooling: Pooling = Field(description="maps a feature map to one feature")
    bn_groups: PositiveInt = Field(
        description="BatchNorm sees contiguous chunks of the batch; 4 is the published 4-GPU DataParallel"
    )

    @model_validator(mode="after")
    def _pools_what_there_is(self) -> Network:
        if self.pooling.takes == "tokens" and not self.backbone.class_token:
            raise ValueError(
                f"pooling: {self.pooling.kind!r} is for transformers, backbone {self.backbone.kind!r} is none; "
                "say average or gem"
            )
        return self


class BatchShape(Frozen):
    """P×K batches: `identities` (pseudo-)identities with `instances` images each."""

    identities: PositiveInt = Field(description="(pseudo-)identities per batch")
    instances: PositiveInt = Field(description="images of each of them")

    @property
    def size(self) -> int:
        """Images per batch."""
        return self.identities * self.instances


class Warmup(Frozen):
    """A learning rate that rises in the first epochs, on top of the schedule."""

    epochs: NonNegativeInt = Field(description="epoch e < epochs (from 1) has factor + (1 - factor) · e / epochs")
    factor: float = Field(gt=0, le=1, description="where it starts")


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
    epochs: NonNegativeInt = Field(description="0: no training")
    iterations: NonNegativeInt = Field(description="iterations per epoch")
    optimizer: Optimizer = Field(description="updates the weights")
    schedule: Schedule = Field(description="factor on the learning rate, by epoch")
    warmup: Warmup
    augment: Augment
    precision: Literal["float32", "bf16"] = Field(description="of the network; memory, losses, distances are float32")
    evaluate_every: PositiveInt = Field(
        description="epochs between evaluations during training (only to mark the best)"
    )

    @model_validator(mode="after")
    def _batch_feeds_batchnorm(self) -> Compute:
        least = 2 * self.network.bn_groups
        if self.epochs and self.batch.size < least:
            raise ValueError(
                f"batch: {self.batch.identities}×{self.batch.instances} is too small: BatchNorm with bn_groups "
                f"{self.network.bn_groups} needs at least {least} images"
            )
        return self
