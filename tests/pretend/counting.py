"""What the host does in an iteration of a method, counted on the pretend GPU."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from harness.learning import augment
from harness.learning.normalization import IMAGENET
from harness.pipeline.training.train import train
from tests.pipeline.tiny import Tiny, silent
from tests.pretend.accelerator import GPU, Seen, pretend_gpu

INSIDE = ("batch", "step")


@dataclass(frozen=True)
class Count:
    """Per iteration: kernels launched, copies to the device and their bytes, and how often the host waited."""

    launches: float
    copies: float
    copied: float
    waits: float = 0

    def __str__(self) -> str:
        return (
            f"{self.launches:,.0f} launches, {self.copies:.0f} copies to the device of {self.copied:,.0f} bytes, "
            f"{self.waits:.0f} waits"
        )


MOST = {
    "adabn": Count(89, 1, 456),
    "cluster-contrast": Count(222, 1, 456),
    "spcl-uda": Count(405, 2, 912),
    "mmt": Count(815, 1, 848),
    "sskd": Count(1247, 1, 1240),
}
"""What the tests allow one method of each kind, in the tiny project's batches and networks."""


@contextmanager
def sections(algorithm: Any, seen: Seen) -> Iterator[list[int]]:
    """Count the batches and the steps apart from the rest of an epoch; give the number of iterations, in a list."""
    begin, step = algorithm.begin_epoch, algorithm.step
    iterations = [0]
    augment._constants(GPU, IMAGENET)  # once in a process, whoever needs them first

    def begin_epoch(self: Any, epoch: int) -> Iterator[Any]:
        batches = iter(begin(self, epoch))
        while True:
            with seen.during("batch"):
                batch = next(batches, None)
            if batch is None:
                return
            iterations[0] += 1
            yield batch

    def watched(self: Any, batch: Any) -> Any:
        with seen.during("step"):
            return step(self, batch)

    with mock.patch.object(algorithm, "begin_epoch", begin_epoch), mock.patch.object(algorithm, "step", watched):
        yield iterations


def counted(project: Tiny, method: str, scratch: Path) -> Count:
    """Train `method` of a tiny project on the pretend GPU; return what an iteration of it takes."""
    pairing = project.pairing(method)
    module, name = project.registry.method(method).algorithm.split(":")
    fresh = project.fresh(scratch / f"counted-{method}", pairing)
    with (
        mock.patch.dict("os.environ", {"HARNESS_DEVICE": "cuda"}),
        pretend_gpu() as seen,
        sections(getattr(importlib.import_module(module), name), seen) as iterations,
    ):
        train(fresh.registry, pairing, silent)
    return per_iteration(seen, iterations[0])


def per_iteration(seen: Seen, iterations: int) -> Count:
    """Return what was seen inside of so many iterations, for one."""
    return Count(
        sum(seen.launches[section] for section in INSIDE) / iterations,
        sum(seen.copies[section, "to the device"] for section in INSIDE) / iterations,
        sum(seen.copied[section, "to the device"] for section in INSIDE) / iterations,
        sum(number for key, number in seen.waits.items() if key[0] in INSIDE) / iterations,
    )
