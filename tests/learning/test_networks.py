"""Shapes, values and reproducibility of the networks."""

from typing import Any

import pytest
import torch
from torch import nn

from harness.errors import UserError
from harness.learning import networks
from harness.learning.networks import AveragePool, GeMPool, build
from tests.learning.parts import CPU, network


def parameters(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(
    ("backbone", "height", "width", "shape"),
    [
        ("resnet18", 256, 128, (512, 16, 8)),
        ("resnet50", 256, 128, (2048, 16, 8)),
        ("resnet50", 224, 224, (2048, 14, 14)),
        ("mobilenet-v2", 256, 128, (1280, 16, 8)),
        ("narrow", 64, 32, (192, 4, 2)),
    ],
)
def test_the_map_before_pooling(backbone: str, height: int, width: int, shape: tuple[int, int, int]) -> None:
    """Last stride 1: a sixteenth of the image, not a thirty-second."""
    net = build(network(backbone=backbone), 0, CPU).eval()
    with torch.no_grad():
        found = net.backbone(torch.randn(1, 3, height, width))
    assert found.shape == (1, *shape)
    assert net.features == shape[0]


def test_embedding_is_pool_then_neck_then_unit_length() -> None:
    net = build(network(), 0, CPU).eval()
    mean = net.neck.get_buffer("running_mean").uniform_(-1, 1)
    variance = net.neck.get_buffer("running_var").uniform_(0.5, 2)
    images = torch.randn(5, 3, 32, 16)
    embedding = net(images)
    pooled = net.backbone(images).mean((2, 3))
    torch.testing.assert_close(embedding.pooled, pooled)
    neck = (pooled - mean) / (variance + 1e-5).sqrt()
    torch.testing.assert_close(embedding.neck, neck)
    torch.testing.assert_close(embedding.normalized, neck / neck.norm(dim=1, keepdim=True))


def test_the_necks_bias_is_frozen_at_zero_and_its_weight_learns() -> None:
    net = build(network(), 0, CPU)
    assert [name for name, p in net.named_parameters() if not p.requires_grad] == ["neck.bias"]
    assert (net.neck.bias == 0).all()
    assert (net.neck.weight == 1).all()


def test_average_pooling() -> None:
    x = torch.tensor([[[[1.0, 2.0], [3.0, 6.0]], [[0.0, 0.0], [0.0, 4.0]]]])
    assert AveragePool()(x).tolist() == [[3.0, 1.0]]


def test_gem_pooling_by_hand() -> None:
    """Exponent 3: ∛((1 + 8 + 27 + 0) / 4); negatives count as 1e-6."""
    gem = GeMPool()
    x = torch.tensor([[[[1.0, 2.0], [3.0, -5.0]]]])
    assert gem(x).item() == pytest.approx(9 ** (1 / 3))
    assert gem.p.item() == 3
    nn.init.constant_(gem.p, 1.0)
    assert gem(x.relu()).item() == pytest.approx(1.5, rel=1e-5)  # exponent 1: the mean
    nn.init.constant_(gem.p, 200.0)
    assert gem(x.relu() / 3).item() == pytest.approx(1, abs=0.01)  # a large one: the maximum


def test_gem_pooling_learns_its_exponent() -> None:
    gem = GeMPool().double()
    x = torch.rand(2, 3, 4, 2, dtype=torch.float64) + 0.1
    assert torch.autograd.gradcheck(gem, (x.requires_grad_(),))
    gem(x).sum().backward()
    assert gem.p.grad is not None
    assert gem.p.grad.abs() > 0
    gem(torch.zeros(2, 3, 4, 2, dtype=torch.float64, requires_grad=True)).sum().backward()
    assert gem.p.grad.isfinite()  # a dead map


@pytest.mark.parametrize("stem_relu", [True, False])
def test_the_stem_with_and_without_relu(stem_relu: bool) -> None:
    """Without it, as in MMT and SSKD, negative values reach the first block."""
    net = build(network(backbone="resnet18", stem_relu=stem_relu), 0, CPU).eval()
    stem = nn.Sequential(*list(net.backbone.children())[: 4 if stem_relu else 3])
    assert isinstance(stem[-1], nn.MaxPool2d)
    smallest = stem(torch.randn(2, 3, 64, 32)).min()
    assert (smallest >= 0) == stem_relu


def test_the_narrow_network_is_narrow() -> None:
    assert parameters(build(network(), 0, CPU)) == pytest.approx(0.69e6, rel=0.02)


@pytest.mark.parametrize("pooling", ["average", "gem"])
def test_a_seed_gives_one_network(pooling: str) -> None:
    first, again, other = (build(network(pooling=pooling), seed, CPU).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["backbone.0.weight"], other["backbone.0.weight"])
    build(network(), 2**63 - 1, CPU)


def test_building_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    build(network(), 1, CPU)
    networks.classifier(5, 4, 1, CPU)
    networks.centroid_classifier(torch.randn(5, 4, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_network_of_given_tensors_is_that_network() -> None:
    made = build(network(pooling="gem"), 0, CPU)
    loaded = build(network(pooling="gem", bn_groups=4), 1, CPU, made.state_dict())  # groups are no tensors
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in made.state_dict().items())


@pytest.mark.parametrize(
    ("made", "wanted", "message"),
    [
        ({"pooling": "average"}, {"pooling": "gem"}, "it has no tensor 'pool.p'"),
        ({"pooling": "gem"}, {"pooling": "average"}, "the network has no tensor 'pool.p'"),
        ({"backbone": "resnet18"}, {}, "another architecture"),
        ({"backbone": "resnet18"}, {"backbone": "resnet18", "stem_relu": False}, "another architecture"),
    ],
)
def test_tensors_of_another_architecture_are_an_error(
    made: dict[str, Any], wanted: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        build(network(**wanted), 0, CPU, build(network(**made), 0, CPU).state_dict())


def test_a_tensor_of_another_shape_is_an_error() -> None:
    tensors = build(network(), 0, CPU).state_dict()
    tensors["neck.weight"] = torch.ones(7)
    with pytest.raises(UserError, match=r"'neck.weight' is \[7\] there, \[192\] in the network"):
        build(network(), 0, CPU, tensors)


def test_classifiers() -> None:
    layer = networks.classifier(1000, 64, 5, CPU)
    assert layer.bias is None
    assert layer.weight.shape == (1000, 64)
    assert layer.weight.std().item() == pytest.approx(0.001, rel=0.02)
    assert torch.equal(layer.weight, networks.classifier(1000, 64, 5, CPU).weight)
    centroids = torch.randn(6, 4)
    copied = networks.centroid_classifier(centroids)
    assert copied.bias is None
    assert torch.equal(copied.weight, centroids)
    assert copied.weight.data_ptr() != centroids.data_ptr()
    assert copied.weight.requires_grad
