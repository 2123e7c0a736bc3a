"""A training epoch fed from the cache, against the same network step fed by the PIL pipeline, and on a resident batch.

On a CPU: the drawn regime (64×32, the narrow network, batch 64). On a GPU: the paper regime (256×128, ResNet-50, batch
256, bf16), the PIL side with 16 worker processes.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.batches import jpegs, reference_image
from benchmarks.measure import Outcome, measured
from harness.learning import losses, memory, networks, optim, sampler
from harness.learning.data import UnlabelledSet
from harness.specs.compute import Augment, Network, Optimiser

SIZES = {"small": 10, "large": 50}
"""Iterations."""


@dataclass(frozen=True)
class Setting:
    """What is trained."""

    network: Network
    batch: int
    height: int
    width: int
    pad: int
    workers: int
    bf16: bool


CPU = Setting(Network(backbone="narrow", pooling="average", stem_relu=True, bn_groups=1), 64, 64, 32, 4, 0, False)
GPU = Setting(Network(backbone="resnet50", pooling="gem", stem_relu=True, bn_groups=4), 256, 256, 128, 10, 16, True)


def run(size: str, repeats: int, with_reference: bool) -> Iterator[Outcome]:
    """Yield the outcome of so many iterations of Cluster Contrast's step."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    setting, iterations = (GPU if device.type == "cuda" else CPU), SIZES[size]
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if device.type == "cpu" else threads)
    try:
        yield _outcome(setting, device, iterations, repeats, with_reference)
    finally:
        torch.set_num_threads(threads)


def _outcome(setting: Setting, device: torch.device, iterations: int, repeats: int, with_reference: bool) -> Outcome:
    files = jpegs(4 * setting.batch, setting.height, setting.width)
    cache = np.stack([np.asarray(Image.open(io.BytesIO(file))) for file in files])
    images = UnlabelledSet(cache, np.zeros(len(cache), np.int64), device)
    augment = Augment(flip=0.5, pad=setting.pad, erase=0.5, jitter=0)
    step = _Step(setting, device)

    def ours() -> None:
        rng = np.random.default_rng(0)
        indices = sampler.shuffled_batches(len(cache), setting.batch, rng)
        for batch in images.batches(indices, iterations, augment, [rng]):
            step(batch.views[0])
        _wait(device)

    def resident() -> None:
        batch = images.plain(np.arange(setting.batch))
        for _ in range(iterations):
            step(batch)
        _wait(device)

    def reference() -> None:
        data = _Files(files, (setting.height, setting.width), augment)
        loader = DataLoader(
            data, setting.batch, shuffle=True, drop_last=True, num_workers=setting.workers,
            pin_memory=device.type == "cuda", persistent_workers=setting.workers > 0,
        )  # fmt: skip
        for batch in _endless(loader, iterations):
            step(batch.to(device, non_blocking=True))
        _wait(device)

    ours()  # compile, choose algorithms
    _, fed = measured(ours, repeats)
    _, pure = measured(resident, repeats)
    count = iterations * setting.batch
    name, size = f"training {setting.network.backbone}", f"{iterations}×{setting.batch} images"
    rate = f"{count / fed.seconds:,.0f} images/s, resident batch {count / pure.seconds:,.0f}"
    if not with_reference:
        return Outcome(name, size, fed.seconds, fed.extra_gib, limit_s=pure.seconds, agreement=rate)
    _, slow = measured(reference, repeats)
    rate += f", PIL {count / slow.seconds:,.0f}"
    return Outcome(
        name,
        size,
        fed.seconds,
        fed.extra_gib,
        "the same step fed by PIL",
        slow.seconds,
        slow.extra_gib,
        pure.seconds,
        rate,
    )


class _Step:
    """One iteration of Cluster Contrast: forward, InfoNCE against 500 clusters, backward, Adam, memory update."""

    def __init__(self, setting: Setting, device: torch.device) -> None:
        self.network = networks.build(setting.network, 0, device)
        self.optimiser = optim.adam([self.network], Optimiser(learning_rate=3.5e-4, weight_decay=5e-4))
        rng = torch.Generator().manual_seed(0)
        self.memory = torch.nn.functional.normalize(torch.randn(500, self.network.features, generator=rng)).to(device)
        self.labels = torch.arange(setting.batch // 16, device=device).repeat_interleave(16)
        self.bf16, self.device = setting.bf16, device

    def __call__(self, images: Tensor) -> None:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            features = self.network(images.contiguous(memory_format=torch.channels_last)).normalised
        logits = memory.similarity_logits(features, self.memory, 0.05)
        optim.minimise(losses.smoothed_cross_entropy(logits, self.labels, 0), self.optimiser)
        memory.update(self.memory, features.detach(), self.labels, 0.1)


class _Files(Dataset[Tensor]):
    """The reference input: every image decoded and transformed by itself."""

    def __init__(self, files: list[bytes], size: tuple[int, int], augment: Augment) -> None:
        self.files, self.size, self.augment = files, size, augment

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Tensor:
        return reference_image(self.files[index], self.size, self.augment, np.random.default_rng(index))


def _endless(loader: Iterable[Tensor], iterations: int) -> Iterator[Tensor]:
    done = 0
    while True:
        for batch in loader:
            yield batch
            done += 1
            if done == iterations:
                return


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
