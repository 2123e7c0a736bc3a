"""What a run is computed on, and with which versions of code and libraries."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

import harness
from harness.errors import UserError
from harness.pipeline.documents import Hardware

LIBRARIES = ("torch", "torchvision", "numpy", "numba", "scikit-learn", "faiss-gpu", "faiss-cpu", "pillow")


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
    """Return the git commit of the project, with '+' if code differs from it, or the package's version."""
    try:
        commit = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"], cwd=root, capture_output=True, text=True, check=True
        ).stdout.strip()
        changed = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no", "--", "harness", "methods", "datasets"],
            cwd=root, capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return harness.__version__
    return commit + ("+" if changed else "")
