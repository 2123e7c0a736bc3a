"""The device a run is computed on, how it gets at arrays, and how many CPU threads it may use."""

from __future__ import annotations

import os

import numba
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from harness.errors import UserError
from harness.learning.threads import threads


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


def compiles() -> bool:
    """Return whether networks are compiled (torch.compile) before they train: HARNESS_COMPILE=1, by default not.

    Compiling takes minutes; whether a run is long enough to earn them back, `python -m benchmarks training` tells.
    """
    value = os.environ.get("HARNESS_COMPILE") or "0"
    if value not in ("0", "1"):
        raise UserError(f"HARNESS_COMPILE={value}: must be 0 or 1")
    return value == "1"


def to_device(array: npt.NDArray[np.generic], device: torch.device) -> Tensor:
    """Return `array` as a tensor on `device`; on a CPU they share memory.

    A GPU gets it from pinned memory, in its own order of work: the host goes on without waiting for earlier work.
    """
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor
