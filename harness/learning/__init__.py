"""The toolbox that methods are built from. Parts are imported on first use, so a method's file loads without torch.

A method's file says `from harness import learning` and then, for example, `learning.losses.soft_cross_entropy(…)`.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.learning import (
        batchnorm,
        data,
        features,
        initialise,
        losses,
        memory,
        networks,
        optim,
        pseudo,
        sampler,
        teacher,
    )

__all__ = [
    "batchnorm",
    "data",
    "features",
    "initialise",
    "losses",
    "memory",
    "networks",
    "optim",
    "pseudo",
    "sampler",
    "teacher",
]


def __getattr__(name: str) -> ModuleType:
    if name not in __all__:
        raise AttributeError(f"harness.learning has no part called {name!r}")
    return importlib.import_module(f"harness.learning.{name}")
