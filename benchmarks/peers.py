"""Iteration of SSKD's six networks (three students, three teachers) against six iterations of one network.

The images are so small that their arithmetic is next to nothing: what is timed is what the host does to call, launch
and update.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from benchmarks.measure import Outcome, measured
from benchmarks.training import CPU, GPU
from harness.learning import ema, networks, optim
from harness.learning.device import choose_device, synchronize
from harness.learning.optimizers import Adam
from harness.specs.compute import Network

SIZES = {"small": 10, "large": 50}
"""Iterations."""
PEERS = 3
BATCH, HEIGHT, WIDTH = 8, 16, 8
MOMENTUM = 0.999


def run(size: str, repeats: int, with_reference: bool) -> Iterator[Outcome]:
    """Yield the outcome of so many iterations."""
    threads, device = torch.get_num_threads(), choose_device()
    try:
        network = (GPU if device.type == "cuda" else CPU).network
        yield outcome(network, device, SIZES[size], repeats, with_reference)
    finally:
        torch.set_num_threads(threads)


def outcome(network: Network, device: torch.device, iterations: int, repeats: int, with_reference: bool) -> Outcome:
    """Measure `network` on `device`."""
    images = torch.randn(BATCH, 3, HEIGHT, WIDTH, device=device).contiguous(memory_format=torch.channels_last)
    six, one = Peers(network, device, PEERS), Peers(network, device, 1)

    def repeated(work: Callable[[Tensor], object]) -> Callable[[], None]:
        def times() -> None:
            for _ in range(iterations):
                work(images)
            synchronize(device)

        times()  # compile, choose algorithms
        return times

    _, ours = measured(repeated(six.step), repeats)
    _, step = measured(repeated(one.learn), repeats)
    _, forward = measured(repeated(one.look), repeats)
    slow = 2 * PEERS * step.seconds if with_reference else None
    return Outcome(
        f"six {network.backbone.kind} on {device.type}", f"{iterations} iterations", ours.seconds, ours.extra_gib,
        reference="six iterations of one network" if slow else "", reference_s=slow,
        limit_s=PEERS * (step.seconds + forward.seconds), limit="three iterations and three forward passes of one",
        agreement=f"{1e3 * ours.seconds / iterations:.1f} ms an iteration",
    )  # fmt: skip


class Peers:
    """Students and their teachers, trained as `methods.peers` trains them, with a loss that costs nothing."""

    def __init__(self, network: Network, device: torch.device, count: int) -> None:
        self.students = [networks.build(network, seed, device).train() for seed in range(count)]
        self.teachers = [ema.copy_of(student) for student in self.students]
        self.ema = ema.EMA(self.teachers, self.students)
        self.optimizer = Adam(kind="adam", learning_rate=1e-4, weight_decay=0).build(self.students)

    def step(self, images: Tensor) -> None:
        """Run an iteration of all networks."""
        self.look(images)
        self.learn(images)
        self.ema.update(MOMENTUM, 1_000)

    def learn(self, images: Tensor) -> None:
        """Run the students' part: forward, backward, Adam."""
        optim.minimize(torch.stack([student(images).neck.sum() for student in self.students]).sum(), self.optimizer)

    def look(self, images: Tensor) -> None:
        """Run the teachers' part: forward."""
        with torch.no_grad():
            for network in self.teachers:
                network(images)
