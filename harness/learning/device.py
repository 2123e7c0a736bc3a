"""The device a run is computed on, and how many CPU threads it may use."""

from __future__ import annotations

import os

import numba
import torch

from harness.errors import UserError


def choose_device() -> torch.device:
    """Return the GPU if there is one (HARNESS_DEVICE=cpu overrules), else the CPU.

    On a CPU torch gets HARNESS_THREADS threads, by default one: small networks gain little from more, and lose much
    when another process wants the core.
    """
    name = os.environ.get("HARNESS_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cpu", "cuda"):
        raise UserError(f"HARNESS_DEVICE={name}: must be 'cpu' or 'cuda'")
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("HARNESS_DEVICE=cuda: torch sees no GPU; run `harness doctor`")
    if name == "cpu":
        numba.get_num_threads()  # starts Numba's threads; had they started later, torch would get as many from then on
        torch.set_num_threads(threads())
    else:
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.benchmark = True
    return torch.device(name)


def threads() -> int:
    """Return the number of CPU threads a run may use."""
    value = os.environ.get("HARNESS_THREADS", "1")
    if not value.isdigit() or int(value) < 1:
        raise UserError(f"HARNESS_THREADS={value}: must be a whole number from 1")
    return int(value)
