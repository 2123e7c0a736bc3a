"""BatchNorm as several GPUs compute it, on one device; and BatchNorm with one set of statistics per domain.

The published figures were made with DataParallel on four GPUs: BatchNorm saw contiguous quarters of the batch, and the
running statistics that were kept are those of the first. `groups` reproduces that ("ghost" BatchNorm, Hoffer et al.,
NeurIPS 2017).
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from harness.errors import UserError


class _Groups:
    """The forward pass shared by the 1-d and the 2-d variant; mixed in before torch's BatchNorm."""

    groups: int

    def forward(self, x: Tensor) -> Tensor:
        if self.groups == 1 or not self.training:  # type: ignore[attr-defined]
            return super().forward(x)  # type: ignore[misc, no-any-return]
        if len(x) < 2 * self.groups:
            raise UserError(f"bn_groups: {self.groups} groups need at least {2 * self.groups} images, got {len(x)}")
        size, larger = divmod(len(x), self.groups)
        # split, not tensor_split: its backward pass writes all groups' gradients into one tensor, not one tensor each
        chunks = x.split([size + (i < larger) for i in range(self.groups)])  # type: ignore[no-untyped-call]
        return torch.cat([self._one_group(chunk, first=i == 0) for i, chunk in enumerate(chunks)])

    def _one_group(self, x: Tensor, first: bool) -> Tensor:
        if first:
            return super().forward(x)  # type: ignore[misc, no-any-return]
        return batch_norm(x, None, None, self.weight, self.bias, True, 0.0, self.eps)  # type: ignore[attr-defined]


class GroupedBatchNorm1d(_Groups, nn.BatchNorm1d):
    """BatchNorm1d over `groups` contiguous chunks of the batch."""

    def __init__(self, features: int, groups: int) -> None:
        super().__init__(features)
        self.groups = groups


class GroupedBatchNorm2d(_Groups, nn.BatchNorm2d):
    """BatchNorm2d over `groups` contiguous chunks of the batch."""

    def __init__(self, features: int, groups: int) -> None:
        super().__init__(features)
        self.groups = groups


class DomainBatchNorm(nn.Module):
    """Two BatchNorms, one per domain: in training the first half of the batch is source, the second half target.

    In evaluation everything is target (Chang et al., CVPR 2019; used by SpCL).
    """

    def __init__(self, original: nn.Module) -> None:
        super().__init__()
        self.target = original
        self.source = deepcopy(original)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return self.target(x)  # type: ignore[no-any-return]
        source, target = x.chunk(2)
        return torch.cat([self.source(source), self.target(target)])


def split_domains(module: nn.Module) -> None:
    """Replace every BatchNorm inside `module` by a `DomainBatchNorm`, in place."""
    module.domains = 2  # type: ignore[assignment]  # what gathers the features of several devices must know
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
            setattr(module, name, DomainBatchNorm(child))
        else:
            split_domains(child)


def target_tensors(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a network with split domains as those of a plain network: the target's statistics."""
    return {name.replace(".target.", "."): value for name, value in tensors.items() if ".source." not in f".{name}"}


def average_statistics(module: nn.Module, batches: int) -> None:
    """Make the next training batch count as one of `batches` + 1: running statistics become the plain average.

    torch's own way, momentum None, counts batches on the device, for which the host of a GPU would wait.
    """
    for child in module.modules():
        if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
            child.momentum = 1 / (batches + 1)
