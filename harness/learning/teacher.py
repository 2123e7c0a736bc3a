"""Mean teachers: slow copies of a network (Tarvainen and Valpola, NeurIPS 2017)."""

from __future__ import annotations

from copy import deepcopy
from typing import TypeVar

import torch
from torch import nn

Module = TypeVar("Module", bound=nn.Module)


def copy_of(student: Module) -> Module:
    """Return a copy without gradients. It keeps its own BatchNorm buffers, fed by its own forward passes."""
    teacher = deepcopy(student)
    teacher.requires_grad_(False)
    return teacher


@torch.no_grad()
def follow(teacher: nn.Module, student: nn.Module, momentum: float, step: int) -> None:
    """θ_T ← α θ_T + (1-α) θ_S with α = min(1 - 1/(step+1), momentum); parameters only, as MMT and SSKD do.

    step: iterations done before this one, counted over the whole run from 0.
    """
    alpha = min(1 - 1 / (step + 1), momentum)
    ours, theirs = [p.data for p in teacher.parameters()], [p.data for p in student.parameters()]
    torch._foreach_lerp_(ours, theirs, 1 - alpha)
