"""`harness doctor`: what this machine offers, and what is missing."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from harness.pipeline.plan import present_datasets
from harness.specs.registry import Registry

GIB = 2**30


def examine(registry: Registry) -> Iterator[str]:
    """Yield one line per finding; a line that needs action starts with '!'."""
    import torch

    yield f"  python      {sys.version.split()[0]}"
    yield f"  cpu         {os.cpu_count()} cores, {_memory_gib():.0f} GiB of memory"
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            free, total = torch.cuda.mem_get_info(index)
            memory = f"{free / GIB:.0f} of {total / GIB:.0f} GiB free"
            yield f"  gpu {index}       {torch.cuda.get_device_name(index)}, {memory}"
    else:
        yield "! gpu         none that torch can use: runs go to the CPU, fit for the drawn benchmark only"
    for package in ("torch", "torchvision", "numba", "dvc", "streamlit"):
        yield f"  {package:<11} {version(package)}"
    yield f"  faiss       {_faiss()}"
    disk = shutil.disk_usage(registry.root).free / GIB
    yield f"{'!' if disk < 5 else ' '} disk        {disk:.0f} GiB free"
    for problem in registry.problems:
        yield f"! spec        {problem}"
    present = present_datasets(registry)
    for name, spec in registry.datasets.items():
        if name in present:
            yield f"  dataset     {name}"
        elif spec.access.withdrawn:
            yield f"  dataset     {name}: absent, withdrawn by its owners; who holds it: harness data add {name} PATH"
        else:
            yield f"! dataset     {name}: absent; from {spec.access.homepage}, then: harness data add {name} PATH"


def _faiss() -> str:
    for package in ("faiss-gpu", "faiss-cpu"):
        try:
            return f"{version(package)} ({package})"
        except PackageNotFoundError:
            continue
    return "missing"


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
