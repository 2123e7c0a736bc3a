"""Extraction: evaluation mode, every image once, in order."""

import numpy as np
import pytest
import torch

from harness.learning import extract
from harness.learning.data import UnlabeledSet
from harness.learning.networks import ReidNetwork, build
from tests.learning.parts import CPU, compute, images, network


@pytest.fixture
def net() -> ReidNetwork:
    net = build(network(bn_groups=2), 0, CPU)
    net(torch.randn(8, 3, 16, 8))
    return net


def test_extraction_is_one_image_at_a_time_in_evaluation_mode(
    net: ReidNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extract, "BATCH", 4)
    target = UnlabeledSet(images(11), np.zeros(11, np.int64), CPU)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    found = extract.features(net.train(), target, "float32")
    assert net.training  # as it was
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    net.eval()
    one_by_one = torch.cat([net(target.plain(np.array([i]))).normalized for i in range(11)])
    torch.testing.assert_close(found, one_by_one.detach())
    assert not found.requires_grad
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.norm(dim=1), torch.ones(11))
    extract.features(net, target, "float32")
    assert not net.training


def test_extraction_in_bf16_is_close_and_float32(net: ReidNetwork) -> None:
    target = UnlabeledSet(images(11), np.zeros(11, np.int64), CPU)
    exact, rough = (extract.features(net, target, precision) for precision in ("float32", "bf16"))
    assert rough.dtype == torch.float32
    assert not torch.equal(exact, rough)
    assert ((exact * rough).sum(1) > 0.99).all()


def test_an_embedder_of_exported_tensors_is_the_network(net: ReidNetwork) -> None:
    embed = extract.network_embedder(compute(network=network(bn_groups=2)), net.state_dict(), CPU)
    pictures = UnlabeledSet(images(5), np.zeros(5, np.int64), CPU)
    assert torch.equal(torch.as_tensor(embed(pictures)), extract.features(net, pictures, "float32"))


def test_embedders_of_one_architecture_keep_to_their_own_tensors(net: ReidNetwork) -> None:
    other = build(network(bn_groups=2), 1, CPU)
    pictures = UnlabeledSet(images(5), np.zeros(5, np.int64), CPU)
    first, second = (
        extract.network_embedder(compute(network=network(bn_groups=2)), n.state_dict(), CPU) for n in (net, other)
    )
    second(pictures)
    assert torch.equal(torch.as_tensor(first(pictures)), extract.features(net, pictures, "float32"))


def test_the_mean_of_features_has_unit_length() -> None:
    a, b = torch.tensor([[1.0, 0.0], [0.6, 0.8]]), torch.tensor([[0.0, 1.0], [0.6, 0.8]])
    torch.testing.assert_close(extract.mean([a, b]), torch.tensor([[0.5**0.5, 0.5**0.5], [0.6, 0.8]]))
