"""The toolbox that methods are built from. Parts are imported on first use, so a method's file loads without torch.

A method's file says `from harness import learning` and then, for example, `learning.losses.soft_cross_entropy(…)`;
`learning.torch` is torch itself.
"""

from typing import TYPE_CHECKING

from harness.lazy import lazy_attributes

if TYPE_CHECKING:
    import torch

    from harness.learning import (
        batchnorm,
        data,
        ema,
        extract,
        initialize,
        losses,
        memory,
        networks,
        optim,
        parts,
        proxies,
        pseudo,
        sampler,
    )

__all__ = [
    "batchnorm",
    "data",
    "ema",
    "extract",
    "initialize",
    "losses",
    "memory",
    "networks",
    "optim",
    "parts",
    "proxies",
    "pseudo",
    "sampler",
    "torch",
]

__getattr__ = lazy_attributes(__name__, {name: f"{__name__}.{name}" for name in __all__} | {"torch": "torch"})
