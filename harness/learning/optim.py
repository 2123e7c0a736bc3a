"""The optimizers, and the learning rate: a pure function of the epoch, so resuming has no schedule to restore."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from harness.learning import ranks
from harness.learning.algorithm import RunContext
from harness.learning.optimizers import SGD, Adam, Optimizer
from harness.specs.compute import Compute


def adam(modules: Iterable[nn.Module], spec: Adam) -> torch.optim.Adam:
    """Return Adam on every trainable parameter of `modules`, weight decay on all of them, as the field does."""
    parameters, fused = _trainable(modules)
    return torch.optim.Adam(
        parameters, lr=spec.learning_rate, weight_decay=spec.weight_decay, fused=fused, foreach=not fused
    )


def sgd(modules: Iterable[nn.Module], spec: SGD) -> torch.optim.SGD:
    """Return SGD with momentum on every trainable parameter of `modules`, weight decay on all of them."""
    parameters, fused = _trainable(modules)
    return torch.optim.SGD(
        parameters, lr=spec.learning_rate, momentum=spec.momentum, weight_decay=spec.weight_decay,
        fused=fused, foreach=not fused,
    )  # fmt: skip


def _trainable(modules: Iterable[nn.Module]) -> tuple[list[nn.Parameter], bool]:
    """Return what is to be trained, and whether one kernel can do it."""
    parameters = [parameter for module in modules for parameter in module.parameters() if parameter.requires_grad]
    return parameters, bool(parameters) and parameters[0].device.type == "cuda"


def rate_factor(compute: Compute, epoch: int) -> float:
    """Return the factor on the learning rate in `epoch` (from 1): the schedule's, times that of warm-up.

    Warm-up: factor f rises as f + (1-f)·e/w in epochs e < w, as in the strong baseline.
    """
    warmup, factor = compute.warmup, 1.0
    if epoch < warmup.epochs:
        factor = warmup.factor + (1 - warmup.factor) * epoch / warmup.epochs
    return factor * compute.schedule.factor(epoch, compute.epochs)


def set_rate(optimizer: torch.optim.Optimizer, spec: Optimizer, factor: float) -> None:
    """Set the learning rate of every parameter group."""
    for group in optimizer.param_groups:
        group["lr"] = spec.learning_rate * factor


def begin_epoch(optimizer: torch.optim.Optimizer, compute: Compute, epoch: int) -> None:
    """Set the learning rate of `epoch` (from 0)."""
    set_rate(optimizer, compute.optimizer, rate_factor(compute, epoch + 1))


def minimize(loss: Tensor, *optimizers: torch.optim.Optimizer) -> None:
    """One gradient step of each optimizer."""
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    for optimizer in optimizers:
        ranks.average_gradients(optimizer)
        optimizer.step()


def precision(run: RunContext) -> AbstractContextManager[None]:
    """The autocast context of the run's networks: bf16 if its spec says so; features leave networks in float32."""
    return torch.autocast(run.device.type, torch.bfloat16, enabled=run.compute.precision == "bf16")
