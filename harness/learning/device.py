"""The device a run is computed on, and how it gets at arrays."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from harness.errors import UserError
from harness.learning.threads import threads

NAMES = re.compile(r"cpu|cuda(:\d+)?")
ALIGNED = 8  # bytes: where any dtype may begin


def choose_device() -> torch.device:
    """Return the first GPU if there is one, else the CPU; HARNESS_DEVICE (cpu, cuda, cuda:1 …) overrules.

    On a CPU torch gets HARNESS_THREADS threads, by default one: small networks gain little from more, and lose much
    when another process wants the core. NumPy's linear algebra gets one in any case: with the number of cores its sums
    change in their last bits, and then a run does. On a GPU float32 means float32: convolutions and products do not
    round to TensorFloat-32. Raises UserError for a device that is not there, and for a driver that torch cannot use.
    """
    name = os.environ.get("HARNESS_DEVICE", "")
    if name and not NAMES.fullmatch(name):
        raise UserError(f"HARNESS_DEVICE={name}: must be 'cpu', 'cuda', or one of several GPUs, like 'cuda:1'")
    if name == "cpu" or not _gpu_is_there(name):
        numba.get_num_threads()  # starts Numba's threads; had they started later, torch would get as many from then on
        threadpool_limits(1, user_api="blas")  # before torch, which shares OpenMP with some of them
        torch.set_num_threads(threads())
        return torch.device("cpu")
    device = torch.device(name or "cuda")
    count, index = torch.cuda.device_count(), device.index or 0
    if index >= count:
        there = "there is one GPU, cuda:0" if count == 1 else f"there are {count} GPUs, cuda:0 to cuda:{count - 1}"
        raise UserError(f"HARNESS_DEVICE={name}: {there}")
    device = torch.device("cuda", index)
    torch.cuda.set_device(device)  # or pinned memory would open a context on the first GPU
    torch.backends.cuda.matmul.fp32_precision = "ieee"
    torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]  # torch's default is tf32
    torch.backends.cudnn.benchmark = True
    return device


def _gpu_is_there(name: str) -> bool:
    """Whether torch can use a GPU. Raises UserError if `name` asks for one, or there is one, that it cannot use."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        available = torch.cuda.is_available()
    if available:
        return True
    trouble = "; ".join(str(warning.message).partition(" (Triggered")[0] for warning in caught)
    if trouble:  # a driver too old, for example: weeks on the CPU are not what the user wants
        raise UserError(f"torch cannot use this machine's GPU: {trouble}; mend that, or set HARNESS_DEVICE=cpu")
    if name:
        raise UserError(f"HARNESS_DEVICE={name}: torch sees no GPU; run `harness doctor`")
    return False


def synchronize(device: torch.device) -> None:
    """Return when the device has done all its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def to_device(array: npt.NDArray[Any], device: torch.device) -> Tensor:
    """Return `array` as a tensor on `device`; on a CPU they share memory.

    Copied asynchronously from pinned memory on the current stream.
    """
    return together_to_device([array], device)[0]


def together_to_device(arrays: Sequence[npt.NDArray[Any]], device: torch.device) -> list[Tensor]:
    """Return what `to_device` returns of each array, all of them sent to a GPU in one copy."""
    if device.type == "cpu":
        return [torch.from_numpy(np.ascontiguousarray(array)) for array in arrays]
    ends = np.cumsum([-(-array.nbytes // ALIGNED) * ALIGNED for array in arrays])
    buffer = torch.empty(int(ends[-1]), dtype=torch.uint8, pin_memory=True)
    starts, host = np.r_[0, ends[:-1]], buffer.numpy()
    for start, array in zip(starts, arrays, strict=True):
        host[start : start + array.nbytes] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    sent = buffer.to(device, non_blocking=True)
    return [
        sent[start : start + array.nbytes].view(torch.from_numpy(np.empty(0, array.dtype)).dtype).view(array.shape)
        for start, array in zip(starts.tolist(), arrays, strict=True)
    ]
