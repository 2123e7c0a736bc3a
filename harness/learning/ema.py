"""Mean teachers: slow copies of a network (Tarvainen and Valpola, NeurIPS 2017)."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from typing import TypeVar

import torch
from torch import Tensor, nn

Module = TypeVar("Module", bound=nn.Module)


def copy_of(student: Module) -> Module:
    """Return a copy without gradients. It keeps its own BatchNorm buffers, fed by its own forward passes."""
    teacher = deepcopy(student)
    teacher.requires_grad_(False)
    return teacher


class EMA:
    """Exponential moving averages of students' parameters, all updated by one fused call per iteration."""

    def __init__(self, teachers: Iterable[nn.Module], students: Iterable[nn.Module]) -> None:
        self._slow: list[Tensor] = [parameter for teacher in teachers for parameter in teacher.parameters()]
        self._fast: list[Tensor] = [parameter for student in students for parameter in student.parameters()]

    @torch.no_grad()
    def update(self, momentum: float, step: int) -> None:
        """θ_T ← α θ_T + (1-α) θ_S with α = min(1 - 1/(step+1), momentum); parameters only, as MMT and SSKD do.

        step: iterations done before this one, counted over the whole run from 0.
        """
        alpha = min(1 - 1 / (step + 1), momentum)
        torch._foreach_lerp_(self._slow, self._fast, 1 - alpha)
