"""Nothing inside an iteration makes the host wait for a GPU, seen from the operations that would."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness.learning import ema, losses, memory, sampler
from harness.learning.augment import augmented_on_device, draw
from harness.learning.batchnorm import average_statistics, split_domains
from harness.learning.networks import build
from tests.learning.parts import CPU, STRONG, images, network
from tests.learning.waiting import Watch

B, D, C = 8, 6, 4
LABELS = torch.tensor([0, 0, 2, 2, 3, 3, 3, 0])


def features(seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return nn.functional.normalize(torch.randn(B, D, generator=generator), dim=1).requires_grad_()


def forward_and_backward() -> None:
    net = build(network(bn_groups=2, pooling="gem"), 0, CPU)
    split_domains(net)
    net.train()(torch.randn(B, 3, 16, 8)).normalized.sum().backward()


def averaged_statistics() -> None:
    net = build(network(), 0, CPU)
    average_statistics(net, 3)
    net.train()(torch.randn(B, 3, 16, 8))


def follow() -> None:
    student = nn.Linear(2, 2)
    ema.EMA([ema.copy_of(student)], [student]).update(0.9, 3)


def augmentation() -> None:
    drawn = draw(STRONG, 3, 16, 8, np.random.default_rng(0))
    augmented_on_device(torch.from_numpy(images(5)), torch.tensor([4, 0, 4]), drawn)


STEPS: dict[str, Callable[[], object]] = {
    "network": forward_and_backward,
    "augmentation": augmentation,
    "averaged_statistics": averaged_statistics,
    "teachers": follow,
    "smoothed_cross_entropy": lambda: losses.smoothed_cross_entropy(features(), LABELS, 0.1).backward(),
    "soft_cross_entropy": lambda: losses.soft_cross_entropy(features(), features(1)).backward(),
    "batch_hard_triplet": lambda: losses.batch_hard_triplet(features(), LABELS, 0.3).backward(),
    "softmax_triplet": lambda: losses.softmax_triplet(features(), LABELS).backward(),
    "soft_softmax_triplet": lambda: losses.soft_softmax_triplet(features(), features(1), LABELS).backward(),
    "multi_similarity": lambda: losses.multi_similarity(features(), LABELS, 0.5, 0.1, 2, 40).backward(),
    "nuclear_norm": lambda: losses.nuclear_norm(features()).backward(),
    "distillation": lambda: losses.distillation(features(), features(1), 2.0).backward(),
    "random_positives": lambda: sampler.random_positives(LABELS, np.random.default_rng(0)),
    "memory.update": lambda: memory.update(torch.ones(C, D), features().detach(), LABELS, 0.1, 3),
    "memory.update_hard": lambda: memory.update_hard(torch.ones(C, D), features().detach(), LABELS, 0.1),
    "mean_similarity_logits": lambda: memory.mean_similarity_logits(
        features(), torch.ones(B, D), LABELS, torch.tensor([3, 1, 2, 3]), 0.05
    ).sum().backward(),
}  # fmt: skip


@pytest.mark.parametrize("step", STEPS)
def test_the_host_does_not_wait(step: str) -> None:
    with Watch() as watch:
        STEPS[step]()
    assert watch.seen == []


@pytest.mark.parametrize(
    "read",
    [
        lambda x: x.sum().item(),
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: bool((x > 0).any()),
        lambda x: torch.linalg.svdvals(x[None]),
        lambda x: torch.linalg.matrix_norm(x[None], "nuc"),
    ],
)
def test_what_would_wait_is_seen(read: Callable[[Tensor], object]) -> None:
    with Watch() as watch:
        read(torch.ones(3))
    assert watch.seen
