"""Ghost and domain BatchNorm against plain BatchNorms run chunk by chunk."""

import pytest
import torch
from torch import Tensor, nn

from harness.errors import UserError
from harness.learning import batchnorm
from harness.learning.batchnorm import DomainBatchNorm, GroupedBatchNorm1d, GroupedBatchNorm2d
from harness.learning.networks import build
from tests.learning.parts import CPU, network

Kind = type[GroupedBatchNorm1d] | type[GroupedBatchNorm2d]
KINDS = pytest.mark.parametrize("kind", [GroupedBatchNorm1d, GroupedBatchNorm2d])


def filled(layer: nn.Module) -> nn.Module:
    """Give a layer other than the initial weights, so that swapping or dropping them shows."""
    generator = torch.Generator().manual_seed(7)
    for value in layer.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
    return layer


def plain(like: nn.Module) -> nn.Module:
    layer = nn.BatchNorm1d(5) if isinstance(like, nn.BatchNorm1d) else nn.BatchNorm2d(5)
    layer.load_state_dict(like.state_dict())
    return layer


def batch(kind: Kind, size: int = 12) -> Tensor:
    shape = (5,) if kind is GroupedBatchNorm1d else (5, 4, 3)
    x = torch.randn(size, *shape, generator=torch.Generator().manual_seed(3))
    return x + torch.arange(size).view(-1, *[1] * (x.dim() - 1))  # chunks have different statistics


@KINDS
@pytest.mark.parametrize("groups", [1, 2, 3, 4])
def test_groups_are_plain_batchnorms_of_contiguous_chunks(kind: Kind, groups: int) -> None:
    grouped = filled(kind(5, groups))
    per_chunk = [plain(grouped) for _ in range(groups)]
    x = batch(kind).requires_grad_()
    weight = torch.randn(x.shape, generator=torch.Generator().manual_seed(5))
    out = grouped(x)
    size = 12 // groups
    expected = torch.cat([layer(x[i * size : (i + 1) * size]) for i, layer in enumerate(per_chunk)])
    torch.testing.assert_close(out, expected, atol=1e-6, rtol=1e-6)
    ours = torch.autograd.grad((out * weight).sum(), [x, *grouped.parameters()])
    parameters = [p for layer in per_chunk for p in layer.parameters()]  # weight, bias, weight, bias, …
    of_x, *of_parameters = torch.autograd.grad((expected * weight).sum(), [x, *parameters])
    theirs = (of_x, torch.stack(of_parameters[::2]).sum(0), torch.stack(of_parameters[1::2]).sum(0))
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-5)
    for name, buffer in grouped.named_buffers():  # running statistics: the first chunk's
        assert torch.equal(buffer, per_chunk[0].get_buffer(name)), name


@KINDS
def test_evaluation_uses_the_running_statistics(kind: Kind) -> None:
    grouped = filled(kind(5, 4)).eval()
    x = batch(kind)
    assert torch.equal(grouped(x), plain(grouped).eval()(x))
    assert torch.equal(grouped(x)[:1], grouped(x[:1]))  # a single image passes


@KINDS
def test_a_batch_too_small_for_its_groups_is_an_error(kind: Kind) -> None:
    with pytest.raises(UserError, match="4 groups need at least 8 images, got 7"):
        kind(5, 4)(batch(kind, 7))
    assert kind(5, 4)(batch(kind, 8)).shape[0] == 8


@pytest.mark.parametrize("groups", [1, 2])
def test_a_network_sees_its_groups(groups: int) -> None:
    """In a whole network, halves of a batch do not see each other exactly if bn_groups is 2."""
    net = build(network(bn_groups=groups), 0, CPU)
    first, second = torch.randn(8, 3, 16, 8), torch.randn(8, 3, 16, 8)
    together = net(torch.cat([first, second])).neck[:8]
    alone = build(network(bn_groups=1), 0, CPU)(first).neck
    assert torch.allclose(together, alone, atol=1e-4) == (groups == 2)


def test_domains_have_their_own_statistics() -> None:
    source, target = filled(nn.BatchNorm2d(5)), filled(nn.BatchNorm2d(5))
    domain = DomainBatchNorm(filled(nn.BatchNorm2d(5)))
    x = batch(GroupedBatchNorm2d)
    expected = torch.cat([source(x[:6]), target(x[6:])])
    torch.testing.assert_close(domain(x), expected)
    torch.testing.assert_close(domain.source.state_dict(), source.state_dict())
    torch.testing.assert_close(domain.target.state_dict(), target.state_dict())
    domain.eval()
    assert torch.equal(domain(x), target.eval()(x))


def test_split_domains_reach_every_batchnorm_and_export_as_a_plain_network() -> None:
    spec = network(backbone="resnet18", stem_relu=False)
    net = build(spec, 0, CPU)
    count = sum(isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) for m in net.modules())
    batchnorm.split_domains(net)
    assert sum(isinstance(m, DomainBatchNorm) for m in net.modules()) == count
    net(torch.cat([torch.randn(4, 3, 32, 16), 5 + torch.randn(4, 3, 32, 16)]))
    net.eval()
    exported = build(spec, 1, CPU, batchnorm.target_tensors(net.state_dict())).eval()
    x = torch.randn(3, 3, 32, 16)
    torch.testing.assert_close(exported(x), net(x))


def test_the_neck_stays_frozen_in_both_domains() -> None:
    net = build(network(), 0, CPU)
    batchnorm.split_domains(net)
    assert isinstance(net.neck, DomainBatchNorm)
    assert [name for name, p in net.named_parameters() if not p.requires_grad] == [
        "neck.target.bias",
        "neck.source.bias",
    ]


def test_averaged_statistics_are_the_plain_mean_over_batches() -> None:
    layer = filled(GroupedBatchNorm2d(5, 1))
    net = nn.Sequential(layer)
    means, variances = [], []
    for seed in range(4):
        x = torch.randn(6, 5, 4, 3, generator=torch.Generator().manual_seed(seed)) * (seed + 1)
        batchnorm.average_statistics(net, seed)
        net(x)
        means.append(x.mean(dim=(0, 2, 3)))
        variances.append(x.transpose(0, 1).flatten(1).var(1))
    torch.testing.assert_close(layer.running_mean, torch.stack(means).mean(0), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(layer.running_var, torch.stack(variances).mean(0), atol=1e-5, rtol=1e-5)
