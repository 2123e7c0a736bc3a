"""The mean teacher against a loop over scalars."""

import pytest
import torch
from torch import nn

from harness.learning import ema


def network(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.LazyLinear(2))


def two_networks() -> tuple[nn.Sequential, nn.Sequential]:
    pair = network(0), network(1)
    for net in pair:
        net(torch.randn(5, 3, 6, 4))  # moves the running statistics
    return pair


@pytest.mark.parametrize(
    ("momentum", "step", "alpha"),
    [(0.999, 0, 0.0), (0.999, 1, 0.5), (0.999, 9, 0.9), (0.999, 10_000, 0.999), (0.0, 50, 0.0)],
)
def test_teacher_follows_parameter_by_parameter(momentum: float, step: int, alpha: float) -> None:
    student, teacher = two_networks()
    before = [p.detach().clone() for p in teacher.parameters()]
    of_student = [p.detach().clone() for p in student.parameters()]
    ema.EMA([teacher], [student]).update(momentum, step)
    for old, theirs, new in zip(before, of_student, teacher.parameters(), strict=True):
        expected = [alpha * a + (1 - alpha) * b for a, b in zip(old.flatten(), theirs.flatten(), strict=True)]
        torch.testing.assert_close(new.detach().flatten(), torch.stack(expected), atol=1e-6, rtol=0)
    for theirs, now in zip(of_student, student.parameters(), strict=True):
        assert torch.equal(theirs, now)


def test_buffers_stay_the_teachers_own() -> None:
    student, teacher = two_networks()
    before = {name: buffer.clone() for name, buffer in teacher.named_buffers()}
    assert any(not torch.equal(before[name], buffer) for name, buffer in student.named_buffers())
    ema.EMA([teacher], [student]).update(0.5, 100)
    assert before
    for name, buffer in teacher.named_buffers():
        assert torch.equal(before[name], buffer), name


def test_repeated_steps_give_the_exponential_average() -> None:
    """A constant student θ from a teacher at 0, momentum m: after n late steps (1 - mⁿ) θ."""
    student, teacher = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    nn.init.constant_(student.weight, 2.0)
    nn.init.constant_(teacher.weight, 0.0)
    for step in range(1000, 1010):
        ema.EMA([teacher], [student]).update(0.9, step)
    assert teacher.weight.item() == pytest.approx(2 * (1 - 0.9**10), rel=1e-5)


def test_the_early_teacher_is_the_plain_mean_of_all_students() -> None:
    """α = 1 - 1/(step + 1) is the running mean as long as it stays below the momentum."""
    student, teacher = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    values = [3.0, -1.0, 4.0, 1.0, 5.0]
    for step, value in enumerate(values):
        nn.init.constant_(student.weight, value)
        ema.EMA([teacher], [student]).update(0.999, step)
    assert teacher.weight.item() == pytest.approx(sum(values) / len(values), rel=1e-5)


def test_a_copy_is_equal_apart_and_without_gradients() -> None:
    student = two_networks()[0]
    teacher = ema.copy_of(student)
    for name, value in student.state_dict().items():
        assert torch.equal(teacher.state_dict()[name], value)
        assert teacher.state_dict()[name].data_ptr() != value.data_ptr()
    assert not any(p.requires_grad for p in teacher.parameters())
    assert all(p.requires_grad for p in student.parameters())
