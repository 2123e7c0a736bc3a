"""What a run is computed on, and with which versions of libraries."""

from __future__ import annotations

import platform
import resource
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from harness.learning import ranks
from harness.pipeline.records import Hardware

LIBRARIES = ("torch", "torchvision", "numpy", "numba", "scikit-learn", "faiss-gpu", "faiss-cpu", "pillow")


def hardware(device: torch.device) -> Hardware:
    """Return what this machine is, without host name or paths."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu ({_cpu_name()})"
    if ranks.count() > 1:
        name = f"{ranks.count()} × {name}"
    return Hardware(device=name, threads=torch.get_num_threads(), platform=f"{platform.system()} {platform.machine()}")


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def peak_memory_gib(device: torch.device) -> float:
    """Return the peak memory of the device (GPU) or of this process (CPU)."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def versions() -> dict[str, str]:
    """Return the versions of Python and of every library that can change a number."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
