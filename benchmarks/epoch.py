"""Phases of an epoch of Cluster Contrast, and its published schedule extrapolated from them.

On a GPU: 12,936 images of 256×128 (Market-1501's size), ResNet-50, batch 256, bf16. On a CPU: the same phases on small
images with the narrow network; the figures then say nothing of the published schedule.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from benchmarks.features import IMAGES_PER_IDENTITY, clustered
from benchmarks.jaccard import EPS, K1, K2, MIN_SAMPLES
from benchmarks.measure import Outcome, measured
from benchmarks.training import CPU, GPU, Setting, Step, peak_gib
from harness.labels import cluster, jaccard_distance, nearest_neighbours
from harness.learning import extract, sampler
from harness.learning.data import UnlabeledSet
from harness.learning.device import choose_device, synchronize

SIZES = {"small": 20, "large": 200}
"""Training iterations that are measured."""
MARKET, FEW = 12_936, 600
EPOCHS, ITERATIONS = 50, 200


def run(size: str, repeats: int, with_reference: bool) -> Iterator[Outcome]:
    """Yield one outcome per phase, then the schedule's; there is no reference."""
    threads, device = torch.get_num_threads(), choose_device()
    try:
        setting, images = (GPU, MARKET) if device.type == "cuda" else (CPU, FEW)
        yield from outcomes(setting, device, images, SIZES[size], repeats)
    finally:
        torch.set_num_threads(threads)


def outcomes(setting: Setting, device: torch.device, images: int, iterations: int, repeats: int) -> Iterator[Outcome]:
    """Measure the phases of one epoch with `images` images; training by `iterations` of its 200 iterations."""
    drawn = np.random.default_rng(0).integers(0, 256, (images, setting.height, setting.width, 3), np.uint8)
    data = UnlabeledSet(drawn, np.zeros(images, np.int64), device)
    step = Step(setting, device)
    found, _ = clustered(images, images // IMAGES_PER_IDENTITY, seed=1, dimensions=step.network.features)
    placed = torch.from_numpy(found).to(device)
    near = nearest_neighbours(placed, K1)
    distance = jaccard_distance(placed, K1, K2, EPS, neighbours=near)

    def extract_features() -> None:
        extract.features(step.network, data, "bf16" if setting.bf16 else "float32")
        synchronize(device)

    def train() -> None:
        step.network.train()
        indices = sampler.shuffled_batches(images, setting.batch, np.random.default_rng(0))
        for batch in data.batches(indices, iterations, setting.augment, [np.random.default_rng(1)]):
            step(batch.views[0])
        synchronize(device)

    phases = {
        "features": (extract_features, 1.0),
        "k-NN": (lambda: nearest_neighbours(placed, K1), 1.0),
        "Jaccard": (lambda: jaccard_distance(placed, K1, K2, EPS, neighbours=near), 1.0),
        "DBSCAN": (lambda: cluster(distance, EPS, MIN_SAMPLES), 1.0),
        "training": (train, ITERATIONS / iterations),
    }
    epoch, most = 0.0, 0.0
    for name, (work, share) in phases.items():
        work()
        peak_gib(device)
        _, timing = measured(work, repeats)
        seconds, gib = timing.seconds * share, peak_gib(device) or timing.extra_gib
        epoch, most = epoch + seconds, max(most, gib)
        part = f"{iterations} of {ITERATIONS} iterations measured" if name == "training" else ""
        yield Outcome(f"epoch {name} on {device.type}", f"{images:,} images", seconds, gib, agreement=part)
    told = f"extrapolated from one epoch's phases: {EPOCHS * epoch / 3600:.2f} hours"
    if device.type == "cpu":
        told += "; no GPU: small images, narrow network; the published schedule was NOT measured"
    yield Outcome(
        f"schedule on {device.type}", f"{EPOCHS}×{ITERATIONS} iterations", EPOCHS * epoch, most, agreement=told
    )
