"""The learning rates of the published schedules, and what Adam is given."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from harness.learning import losses, memory, optim
from harness.learning.networks import build
from harness.learning.optimizers import SGD
from harness.learning.schedules import Cosine, Step
from harness.specs.compute import Warmup
from tests.learning.parts import CONSTANT, CPU, adam, compute, context, network

STRONG_BASELINE = {
    "schedule": Step(kind="step", milestones=(40, 70), decay=0.1),
    "warmup": Warmup(epochs=10, factor=0.01),
    "epochs": 120,
}
CLUSTER_CONTRAST = {"schedule": Step(kind="step", milestones=(21, 41), decay=0.1), "epochs": 50}


@pytest.mark.parametrize(
    ("epoch", "factor"),
    [(1, 0.109), (5, 0.505), (9, 0.901), (10, 1), (11, 1), (39, 1), (40, 0.1), (69, 0.1), (70, 0.01), (120, 0.01)],
)
def test_strong_baseline(epoch: int, factor: float) -> None:
    assert optim.rate_factor(compute(**STRONG_BASELINE), epoch) == pytest.approx(factor)


@pytest.mark.parametrize(("epoch", "factor"), [(1, 1), (20, 1), (21, 0.1), (40, 0.1), (41, 0.01), (50, 0.01)])
def test_cluster_contrast(epoch: int, factor: float) -> None:
    assert optim.rate_factor(compute(**CLUSTER_CONTRAST), epoch) == pytest.approx(factor)


def test_cluster_contrast_is_torchs_step_schedule() -> None:
    """The release steps StepLR(20, 0.1) after every epoch."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 20, 0.1)
    for epoch in range(1, 51):
        assert optim.rate_factor(compute(**CLUSTER_CONTRAST), epoch) == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()


def test_cosine_is_torchs() -> None:
    spec = compute(schedule=Cosine(kind="cosine", final=0.1), epochs=16)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 16, eta_min=0.1)
    for epoch in range(1, 17):
        assert optim.rate_factor(spec, epoch) == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()


@given(st.integers(1, 40), st.integers(0, 10), st.floats(0.01, 1), st.floats(0.01, 1))
def test_factors_stay_between_zero_and_one(epoch: int, warmup: int, factor: float, decay: float) -> None:
    for schedule in (
        CONSTANT,
        Cosine(kind="cosine", final=decay),
        Step(kind="step", milestones=(10, 20), decay=decay),
    ):
        spec = compute(schedule=schedule, warmup=Warmup(epochs=warmup, factor=factor), epochs=40)
        assert 0 < optim.rate_factor(spec, epoch) <= 1


def test_begin_epoch_counts_from_zero() -> None:
    spec = compute(**STRONG_BASELINE, optimizer=adam(3.5e-4))
    optimizer = spec.optimizer.build([nn.Linear(2, 2)])
    for epoch, rate in ((0, 3.5e-4 * 0.109), (38, 3.5e-4), (39, 3.5e-5), (69, 3.5e-6)):
        optim.begin_epoch(optimizer, spec, epoch)
        assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([rate])


def test_adam_gets_every_trainable_parameter_and_decays_them_all() -> None:
    net = build(network(pooling="gem"), 0, CPU)
    optimizer = optim.adam([net], adam(1e-3, 5e-4))
    (group,) = optimizer.param_groups
    assert group["weight_decay"] == 5e-4
    given_to_it = {id(p) for p in group["params"]}
    assert given_to_it == {id(p) for name, p in net.named_parameters() if name != "neck.bias"}


def test_sgd_is_its_definition() -> None:
    """v ← m·v + (g + d·w), w ← w - η·v (Sutskever et al., ICML 2013, as torch has it)."""
    layer = nn.Linear(3, 1, bias=False)
    spec = SGD(kind="sgd", learning_rate=0.1, momentum=0.9, weight_decay=0.01)
    optimizer = spec.build([layer])
    weight, velocity = layer.weight.detach().clone(), torch.zeros(1, 3)
    for x in torch.randn(3, 1, 3):
        optim.minimize(layer(x).sum(), optimizer)
        velocity = 0.9 * velocity + x + 0.01 * weight
        weight = weight - 0.1 * velocity
        torch.testing.assert_close(layer.weight.detach(), weight)


def test_minimise_is_one_step_on_this_loss_alone() -> None:
    """The first Adam step moves each weight by the learning rate against its gradient's sign, whatever came before."""
    layer = nn.Linear(3, 1, bias=False)
    optimizer = optim.adam([layer], adam(0.1))
    layer.weight.grad = torch.full_like(layer.weight, 1e6)  # an old gradient must not count
    before, x = layer.weight.detach().clone(), torch.tensor([[1.0, -2.0, 3.0]])
    optim.minimize(layer(x).sum(), optimizer)
    torch.testing.assert_close(layer.weight.detach(), before - 0.1 * x.sign())


@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("bf16", torch.bfloat16)])
def test_precision_of_the_backbone_but_features_in_float32(precision: str, dtype: torch.dtype) -> None:
    run = context(compute=compute(precision=precision))
    net = build(network(pooling="gem"), 0, CPU)
    with optim.precision(run):
        images = torch.randn(4, 3, 16, 8)
        assert net.backbone(images).dtype == dtype
        embedding = net(images)
    assert embedding.pooled.dtype == embedding.neck.dtype == embedding.normalized.dtype == torch.float32


def test_in_bf16_memory_losses_and_gradients_are_float32() -> None:
    run, labels = context(compute=compute(precision="bf16")), torch.tensor([0, 0, 1, 1])
    net = build(network(), 0, CPU)
    rows = torch.nn.functional.normalize(torch.randn(2, net.features), dim=1)
    with optim.precision(run):
        embedding = net(torch.randn(4, 3, 16, 8))
    loss = losses.smoothed_cross_entropy(memory.similarity_logits(embedding.normalized, rows, 0.05), labels, 0.1)
    triplet = losses.batch_hard_triplet(embedding.pooled, labels, 0.3)
    assert loss.dtype == triplet.dtype == losses.pairwise_distances(embedding.pooled).dtype == torch.float32
    (loss + triplet).backward()
    assert {p.grad.dtype for p in net.parameters() if p.grad is not None} == {torch.float32}
    memory.update(rows, embedding.normalized.detach(), labels, 0.1, 2)
    assert rows.dtype == torch.float32
