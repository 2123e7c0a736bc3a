"""Which operations would make the host wait for a GPU."""

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

READS = {"_local_scalar_dense", "nonzero", "bincount", "masked_select", "_unique2", "unique_dim", "unique_consecutive"}
"""Operations whose result the host must have before it can go on: a value, or a shape that depends on values."""
CHECKED = {"_linalg_svd", "_linalg_eigh", "linalg_eig", "linalg_cholesky", "_linalg_check_errors"}
"""Decompositions that look whether they succeeded."""


class Watch(TorchDispatchMode):
    """Notes every operation that would make the host wait."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        masks = name in ("index", "index_put", "index_put_") and any(
            where is not None and where.dtype == torch.bool for where in args[1]
        )
        if name in READS | CHECKED or masks:
            self.seen.append(name)
        return func(*args, **(kwargs or {}))
