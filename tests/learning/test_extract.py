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
    pictures = images(5)
    found = embed(pictures)
    expected = extract.features(net, UnlabeledSet(pictures, np.zeros(5, np.int64), CPU), "float32")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected.numpy())


def test_the_mean_of_features_has_unit_length() -> None:
    a, b = torch.tensor([[1.0, 0.0], [0.6, 0.8]]), torch.tensor([[0.0, 1.0], [0.6, 0.8]])
    torch.testing.assert_close(extract.mean([a, b]), torch.tensor([[0.5**0.5, 0.5**0.5], [0.6, 0.8]]))
