"""The epoch loop every method shares: iterate, watch for NaN, time, let the caller observe, repeat."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.errors import NotFiniteError
from harness.learning import ranks
from harness.learning.algorithm import Algorithm
from harness.learning.device import synchronize

Row = dict[str, float | int | None]


@dataclass(frozen=True)
class EpochDone:
    """What the loop tells its observer after an epoch (counted from 1)."""

    epoch: int
    losses: dict[str, float]
    seconds: float
    images: int


def run_epochs(algorithm: Algorithm, observe: Callable[[EpochDone], None]) -> None:
    """Train from the state's epoch to the last; `observe` is called after each epoch, when the state is complete.

    Losses stay on the device until the epoch's end (one synchronization per epoch).
    Raises NotFiniteError naming epoch and iteration; the state then still holds the epoch before on disk.
    """
    run = algorithm.run
    for epoch in range(run.state.epoch, run.compute.epochs):
        begun = time.perf_counter()
        rows: list[Tensor] = []
        names: list[str] = []
        images = 0
        # What networks themselves draw (drop path): a function of seed and epoch, too, and of the images a rank has.
        torch.manual_seed(int(run.rng(f"network {ranks.share(ranks.count()).start}", epoch).integers(2**63)))
        for batch in algorithm.begin_epoch(epoch):
            losses = algorithm.step(batch)
            names = list(losses)
            if losses:
                rows.append(torch.stack([loss.detach() for loss in losses.values()]))
            images += _images_in(batch)
        means = _means(names, rows, epoch + 1)
        synchronize(run.device)  # the seconds of a method without losses are not those of launching its work
        run.state.epoch = epoch + 1
        observe(EpochDone(epoch + 1, means, time.perf_counter() - begun, images))


def _images_in(batch: object) -> int:
    """Images a batch holds; a step on source and target batches gets both in a tuple."""
    if isinstance(batch, tuple):
        return sum(len(part.index) for part in batch)
    return len(batch.index)  # type: ignore[attr-defined, no-any-return]


def _means(names: list[str], rows: list[Tensor], epoch: int) -> dict[str, float]:
    """Return the mean of each loss over the epoch's iterations."""
    if not rows:
        return {}
    table = torch.stack(rows).cpu()
    broken = (~table.isfinite()).any(1).nonzero()
    if len(broken):
        iteration = int(broken[0, 0])
        bad = [name for name, value in zip(names, table[iteration], strict=True) if not value.isfinite()]
        name = min(bad, key=lambda name: name == "total")  # the part that broke says more than their sum
        found = f"loss {name!r} is {table[iteration][names.index(name)]:g}"
        raise NotFiniteError(_advice(epoch, iteration + 1, found))
    return dict(zip(names, table.mean(0).tolist(), strict=True))


def _advice(epoch: int, iteration: int, found: str) -> str:
    last_good = f"; the last good checkpoint is epoch {epoch - 1}'s" if epoch > 1 else ""
    return f"epoch {epoch}, iteration {iteration}: {found}{last_good}: lower the learning rate and run again"
