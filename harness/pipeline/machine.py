"""What a run is computed on, and with which versions of code and libraries."""

from __future__ import annotations

import platform
import resource
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

import harness
from harness.pipeline.code import SHARED
from harness.pipeline.records import Hardware

CODE = ("harness/specs", "harness/drawn", "harness/data", *SHARED, "harness/pipeline/evaluate.py")
LIBRARIES = ("torch", "torchvision", "numpy", "numba", "scikit-learn", "faiss-gpu", "faiss-cpu", "pillow")


def hardware(device: torch.device) -> Hardware:
    """Return what this machine is, without host name or paths."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu ({_cpu_name()})"
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


def code_version(root: Path) -> str:
    """Return the git commit of the project, or the package's version outside git.

    A '+' follows if code that can change a number differs from the commit; pages, store and command line cannot.
    """
    try:
        commit = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"], cwd=root, capture_output=True, text=True, check=True
        ).stdout.strip()
        changed = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no", "--", "methods", "datasets", *CODE],
            cwd=root, capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return harness.__version__
    return commit + ("+" if changed else "")
