"""Training fed from the cache, against the same step fed by the PIL pipeline, and on a resident batch.

On a CPU: the drawn regime (64×32, the narrow network, batch 64). On a GPU: the paper regime (256×128, ResNet-50, batch
256, bf16), the PIL side with 16 worker processes. Warm-up is told apart.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.batches import decoded, jpegs, published
from benchmarks.measure import Outcome, Timing, measured
from harness.learning import losses, memory, networks, optim, sampler
from harness.learning.backbones import Narrow, ResNet50
from harness.learning.data import UnlabeledSet
from harness.learning.device import choose_device, synchronize
from harness.learning.optimizers import Adam
from harness.learning.pooling import Average, GeM
from harness.specs.compute import Augment, Network

SIZES = {"small": 10, "large": 50}
"""Iterations."""
INSTANCES, CLUSTERS = 16, 500
WAYS = {"compiled": {"mode": "default"}, "as CUDA graphs": {"mode": "reduce-overhead"}}
"""Options of torch.compile."""


@dataclass(frozen=True)
class Setting:
    """Network, batch and images of the benchmark."""

    network: Network
    batch: int
    height: int
    width: int
    augment: Augment
    workers: int
    bf16: bool


CPU = Setting(
    Network(backbone=Narrow(kind="narrow"), pooling=Average(kind="average"), bn_groups=1),
    64, 64, 32, Augment(flip=0.5, pad=4, erase=0.3, jitter=0), workers=0, bf16=False,
)  # fmt: skip
GPU = Setting(
    Network(backbone=ResNet50(kind="resnet50", stem_relu=True), pooling=GeM(kind="gem"), bn_groups=4),
    256, 256, 128, Augment(flip=0.5, pad=10, erase=0.5, jitter=0), workers=16, bf16=True,
)  # fmt: skip


def run(size: str, repeats: int, with_reference: bool) -> Iterator[Outcome]:
    """Yield the outcome of so many iterations of Cluster Contrast's step."""
    threads, device = torch.get_num_threads(), choose_device()
    try:
        yield outcome(GPU if device.type == "cuda" else CPU, device, SIZES[size], repeats, with_reference)
    finally:
        torch.set_num_threads(threads)


def outcome(setting: Setting, device: torch.device, iterations: int, repeats: int, with_reference: bool) -> Outcome:
    """Measure `setting` on `device`."""
    files = jpegs(4 * setting.batch, setting.height, setting.width)
    cache = np.stack([np.asarray(Image.open(io.BytesIO(file))) for file in files])
    images = UnlabeledSet(cache, np.zeros(len(cache), np.int64), device)
    step = Step(setting, device)

    def ours() -> None:
        indices = sampler.shuffled_batches(len(cache), setting.batch, np.random.default_rng(0))
        for batch in images.batches(indices, iterations, setting.augment, [np.random.default_rng(1)]):
            step(batch.views[0])
        synchronize(device)

    def resident() -> None:
        batch = images.plain(np.arange(setting.batch))
        for _ in range(iterations):
            step(batch)
        synchronize(device)

    def reference() -> None:
        loader = DataLoader(
            _Files(files, setting), setting.batch, shuffle=True, drop_last=True, num_workers=setting.workers,
            pin_memory=device.type == "cuda", persistent_workers=setting.workers > 0,
        )  # fmt: skip
        for batch in _endless(loader, iterations):
            step(batch.to(device, non_blocking=True))
        synchronize(device)

    begun = time.perf_counter()
    ours()  # choose algorithms
    warm_up = time.perf_counter() - begun
    _, fed = measured(ours, repeats)
    _, pure = measured(resident, repeats)
    slow = measured(reference, repeats)[1] if with_reference else None
    count = iterations * setting.batch
    rates = [f"{count / fed.seconds:,.0f} images/s", f"resident batch {count / pure.seconds:,.0f}"]
    rates += [f"PIL {count / slow.seconds:,.0f}"] if slow else []
    rates.append(f"warm-up {warm_up - fed.seconds:.1f} s")
    return Outcome(
        f"training {setting.network.backbone.kind} on {device.type}", f"{iterations}×{setting.batch} images",
        fed.seconds, peak_gib(device) or fed.extra_gib,
        reference="the same step fed by PIL" if slow else "", reference_s=slow.seconds if slow else None,
        reference_extra_gib=slow.extra_gib if slow else None, limit_s=pure.seconds, agreement=", ".join(rates),
    )  # fmt: skip


def compiled(
    setting: Setting, device: torch.device, iterations: int, ways: Mapping[str, dict[str, str]] = WAYS
) -> Iterator[Outcome]:
    """Yield the step on a resident batch with its network compiled in each of `ways`, against the step as it is.

    What compiling takes is told with the number of iterations from which on it pays.
    """
    images = UnlabeledSet(
        np.zeros((setting.batch, setting.height, setting.width, 3), np.uint8), np.zeros(setting.batch, np.int64), device
    )
    batch = images.plain(np.arange(setting.batch))

    def stepped(step: Step) -> Timing:
        def work() -> None:
            for _ in range(iterations):
                step(batch)
            synchronize(device)

        return measured(work)[1]

    eager = Step(setting, device)
    stepped(eager)  # choose algorithms
    slow = stepped(eager).seconds
    for name, options in ways.items():
        torch.compiler.reset()
        step = Step(setting, device)
        step.network.compile(**options)
        peak_gib(device)
        first, then = stepped(step).seconds, stepped(step)
        saved = (slow - then.seconds) / iterations
        pays = f"pays from {(first - then.seconds) / saved:,.0f} iterations on" if saved > 0 else "never pays"
        yield Outcome(
            f"step {name} on {device.type}", f"{iterations}×{setting.batch} images", then.seconds,
            peak_gib(device) or then.extra_gib, reference="the step as it is", reference_s=slow,
            agreement=f"compiled in {first - then.seconds:.1f} s, {pays}",
        )  # fmt: skip


class Step:
    """Iteration of Cluster Contrast: forward, InfoNCE against 500 clusters, backward, Adam, memory update."""

    def __init__(self, setting: Setting, device: torch.device) -> None:
        self.network = networks.build(setting.network, 0, device)
        self.optimizer = Adam(kind="adam", learning_rate=3.5e-4, weight_decay=5e-4).build([self.network])
        rng = torch.Generator().manual_seed(0)
        centroids = torch.randn(CLUSTERS, self.network.features, generator=rng)
        self.memory = torch.nn.functional.normalize(centroids).to(device)
        self.labels = torch.arange(setting.batch // INSTANCES, device=device).repeat_interleave(INSTANCES)
        self.bf16, self.device = setting.bf16, device

    def __call__(self, images: Tensor) -> None:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            features = self.network(images.contiguous(memory_format=torch.channels_last)).normalized
        logits = memory.similarity_logits(features, self.memory, 0.05)
        optim.minimize(losses.smoothed_cross_entropy(logits, self.labels, 0), self.optimizer)
        memory.update(self.memory, features.detach(), self.labels, 0.1, INSTANCES)


class _Files(Dataset[Tensor]):
    """Reference input: every image decoded and transformed on its own."""

    def __init__(self, files: list[bytes], setting: Setting) -> None:
        self.files, self.transform = files, published((setting.height, setting.width), setting.augment)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Tensor:
        tensor: Tensor = self.transform(decoded(self.files[index]))
        return tensor


def _endless(loader: Iterable[Tensor], iterations: int) -> Iterator[Tensor]:
    done = 0
    while True:
        for batch in loader:
            yield batch
            done += 1
            if done == iterations:
                return


def peak_gib(device: torch.device) -> float | None:
    """Return the peak of allocated GPU memory since the last call, in GiB; None on a CPU."""
    if device.type == "cpu":
        return None
    peak = torch.cuda.max_memory_allocated(device) / 2**30
    torch.cuda.reset_peak_memory_stats(device)
    return peak
