"""Adam, and a learning rate that is a pure function of the epoch, so that resuming has no schedule to restore."""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from harness.learning import ranks
from harness.learning.algorithm import RunContext
from harness.specs.compute import Compute, Optimizer, Schedule


def adam(modules: Iterable[nn.Module], spec: Optimizer) -> torch.optim.Adam:
    """Return Adam on every trainable parameter of `modules`, weight decay on all of them, as the field does."""
    parameters = [parameter for module in modules for parameter in module.parameters() if parameter.requires_grad]
    fused = bool(parameters) and parameters[0].device.type == "cuda"
    return torch.optim.Adam(
        parameters, lr=spec.learning_rate, weight_decay=spec.weight_decay, fused=fused, foreach=not fused
    )


def rate_factor(schedule: Schedule, epoch: int, epochs: int) -> float:
    """Return the factor on the learning rate in `epoch` (from 1) of `epochs`.

    Warm-up: factor f rises as f + (1-f)·e/w in epochs e < w, as in the strong baseline.
    """
    warmup = 1.0
    if epoch < schedule.warmup_epochs:
        warmup = schedule.warmup_factor + (1 - schedule.warmup_factor) * epoch / schedule.warmup_epochs
    if schedule.kind == "step":
        return warmup * schedule.decay ** sum(epoch >= milestone for milestone in schedule.milestones)
    if schedule.kind == "cosine":
        done = (epoch - 1) / epochs
        return warmup * (schedule.decay + (1 - schedule.decay) * 0.5 * (1 + math.cos(math.pi * done)))
    return warmup


def set_rate(optimizer: torch.optim.Optimizer, spec: Optimizer, factor: float) -> None:
    """Set the learning rate of every parameter group."""
    for group in optimizer.param_groups:
        group["lr"] = spec.learning_rate * factor


def begin_epoch(optimizer: torch.optim.Optimizer, compute: Compute, epoch: int) -> None:
    """Set the learning rate of `epoch` (from 0)."""
    set_rate(optimizer, compute.optimizer, rate_factor(compute.schedule, epoch + 1, compute.epochs))


def minimize(loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
    """One gradient step."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    ranks.average_gradients(optimizer)
    optimizer.step()


def precision(run: RunContext) -> AbstractContextManager[None]:
    """The autocast context of the run's networks: bf16 if its spec says so; features leave networks in float32."""
    return torch.autocast(run.device.type, torch.bfloat16, enabled=run.compute.precision == "bf16")
