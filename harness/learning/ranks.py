"""Several devices for one run: each computes its share of every batch, and all of them know the whole.

What DataParallel did in the published runs, one process per device. A network's forward pass in training sees the
rank's contiguous share of the batch, so its BatchNorm sees what one of the published GPUs saw; the features of all
ranks are gathered, so every loss and every memory is computed on the whole batch, alike on all ranks; gradients are
averaged before the optimizer's step. Running statistics that are kept are the first rank's. With one device nothing
here does anything.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar, cast

import torch
from torch import Tensor, nn

from harness.errors import UserError
from harness.specs.compute import Compute, Network

if TYPE_CHECKING:
    from lightning_fabric import Fabric

T = TypeVar("T")

_fabric: Fabric | None = None
"""Of this process, like the process group behind it."""


def launch(devices: int, device: torch.device) -> torch.device:
    """Start the other ranks, each by this process's own command line; return this rank's device.

    device: what a run on one device would use. Raises UserError if there are not so many of its kind.
    """
    global _fabric
    if _fabric is not None:
        return _fabric.device
    if device.type == "cuda" and (device.index or devices > torch.cuda.device_count()):
        raise UserError(f"--devices {devices}: takes the first {devices} GPUs; torch sees {torch.cuda.device_count()}")
    from lightning_fabric import Fabric  # takes a second, and most runs have one device

    _fabric = Fabric(accelerator=device.type, devices=devices, strategy="ddp")
    _fabric.launch()
    return _fabric.device


def stop() -> None:
    """End the other ranks, which may wait for this one for ever."""
    launcher = getattr(_fabric.strategy, "launcher", None) if _fabric else None
    if launcher is not None:
        launcher.kill(signal.SIGTERM)


def count() -> int:
    """Return how many ranks there are."""
    return _fabric.world_size if _fabric else 1


def is_first() -> bool:
    """Return whether this rank is the one that clusters, evaluates, speaks and writes."""
    return _fabric is None or _fabric.global_rank == 0


def check(compute: Compute, devices: int) -> None:
    """Raise UserError unless `devices` devices give the result that one gives: each has whole BatchNorm groups."""
    groups, size = compute.network.bn_groups, compute.batch.size
    if groups % devices:
        raise UserError(
            f"--devices {devices}: BatchNorm sees the batch in {groups} groups (compute.network.bn_groups), which "
            f"cannot be spread over {devices} devices; choose a divisor of {groups}, or other groups: another result"
        )
    if size % groups:
        raise UserError(f"--devices {devices}: a batch of {size} is not {groups} equal groups (compute.batch)")


def share(size: int) -> slice:
    """Return this rank's part of a batch of `size` images."""
    if _fabric is None:
        return slice(0, size)
    part = size // _fabric.world_size
    return slice(_fabric.global_rank * part, (_fabric.global_rank + 1) * part)


def local(spec: Network) -> Network:
    """Return the network of one rank: its part of the BatchNorm groups."""
    return spec if _fabric is None else spec.model_copy(update={"bn_groups": spec.bn_groups // _fabric.world_size})


def gathered(part: Tensor, domains: int = 1) -> Tensor:
    """Return all ranks' parts [B, d] in the order of the batch; the gradient comes back summed over the ranks.

    domains: 2 if every part holds as many source as target images, one after the other, as the batch does.
    """
    if _fabric is None:
        return part
    pieces = [_fabric.all_gather(piece.contiguous(), sync_grads=True) for piece in part.chunk(domains)]
    return torch.cat([cast(Tensor, piece).flatten(0, 1) for piece in pieces])


def gather_features(network: nn.Module) -> None:
    """Have the network, and every copy of it, return the features of the whole batch in training."""
    if _fabric is not None:
        network.register_forward_hook(_gather_output)


def _gather_output(network: nn.Module, _: object, output: tuple[Tensor, ...]) -> object:
    if not network.training:
        return output
    return type(output)(*(gathered(part, getattr(network, "domains", 1)) for part in output))


def average_gradients(optimizer: torch.optim.Optimizer) -> None:
    """Replace gradients by their means over the ranks: with the sum in `gathered`, those of the whole batch."""
    if _fabric is None:
        return
    parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    flat = torch.cat([p.grad.reshape(-1) for p in parameters])
    mean = cast(Tensor, _fabric.all_reduce(flat, reduce_op="mean"))
    for parameter, values in zip(parameters, mean.split([p.numel() for p in parameters]), strict=True):  # type: ignore[no-untyped-call]
        parameter.grad.copy_(values.view(parameter.shape))


def take_statistics_of_first(networks: Iterable[nn.Module]) -> None:
    """Give all ranks the first one's BatchNorm statistics."""
    if _fabric is not None:
        for network in networks:
            for buffer in network.buffers():
                buffer.copy_(_fabric.broadcast(buffer))


def by_first(work: Callable[[], T]) -> T:
    """Return what `work` returns on the first rank, on all of them. Its UserError ends the others in silence."""
    if _fabric is None:
        return work()
    done: tuple[T | None, UserError | None] = (None, None)
    if is_first():
        try:
            done = work(), None
        except UserError as error:
            done = None, error
    result, failure = _fabric.broadcast(done)
    if failure is not None:
        raise failure if is_first() else SystemExit(0)
    return result  # type: ignore[return-value]
