"""A GPU that is too small, in the user's words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from harness.errors import OutOfMemoryError
from harness.specs.compute import Compute

GIB = 2**30
NOTEWORTHY = GIB
"""Bytes that others hold, from which on they are worth a word: a context alone takes a few hundred MiB."""


@contextmanager
def explained(compute: Compute, device: torch.device) -> Iterator[None]:
    """Turn torch's error into one that says who holds the memory, and which values of the spec need less."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise OutOfMemoryError(f"{_who_holds_it(device)}; {_what_helps(compute)}") from error


def _who_holds_it(device: torch.device) -> str:
    free, total = torch.cuda.mem_get_info(device)
    own = torch.cuda.memory_reserved(device)
    others = total - free - own
    said = f"{torch.cuda.get_device_name(device)} is out of memory: this run holds {own / GIB:.1f} of its"
    said += f" {total / GIB:.1f} GiB, {free / GIB:.1f} are free"
    if others > NOTEWORTHY:
        said += f", other processes hold {others / GIB:.1f}: wait for them, or name another GPU (HARNESS_DEVICE=cuda:1)"
    return said


def _what_helps(compute: Compute) -> str:
    batch, groups = compute.batch, compute.network.bn_groups
    advice = ["precision: bf16"] if compute.precision == "float32" else []
    if groups > 1:
        advice.append(
            f"half of batch.identities {batch.identities} together with half of network.bn_groups {groups}, which "
            f"leaves BatchNorm its {batch.size // groups} images"
        )
    else:
        advice.append(f"a smaller batch than {batch.identities}×{batch.instances} (batch.identities)")
    return f"what needs less: {', or '.join(advice)}; or a GPU with more memory"
