"""The pretend GPU refuses and notes what a real one would: faults planted in a run, and operations by themselves."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from torch import Tensor

from harness.learning import losses, memory, state
from harness.pipeline.training.train import train
from methods.cluster_contrast import ClusterContrast
from tests.pipeline.tiny import Tiny, interrupt_in_epoch, silent
from tests.pretend.accelerator import GPU, RefusedError, Seen, pretend_gpu
from tests.pretend.counting import sections

METHOD = "cluster-contrast"


def run(still: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Seen:
    """A run on the pretend GPU, stopped in its second epoch and resumed."""
    pairing = still.pairing(METHOD)
    project = still.fresh(tmp_path / "gpu", pairing)
    monkeypatch.delenv("HARNESS_DEVICE")
    with pretend_gpu() as seen, sections(ClusterContrast, seen):
        with suppress(KeyboardInterrupt):
            train(project.registry, pairing, interrupt_in_epoch(2))
        train(project.registry, pairing, silent)
    return seen


def test_labels_on_the_host(still: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "as_labels", lambda labels, device: torch.from_numpy(labels))
    with pytest.raises(RefusedError, match="same device"):
        run(still, tmp_path, monkeypatch)


def test_a_value_read_in_a_step(still: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    untouched = losses.smoothed_cross_entropy

    def reading(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
        loss = untouched(logits, labels, smoothing)
        assert loss.item() > 0
        return loss

    monkeypatch.setattr(losses, "smoothed_cross_entropy", reading)
    waits = [key for key in run(still, tmp_path, monkeypatch).waits if key[0] == "step"]
    assert [(kind, line.partition(":")[0]) for _, kind, line in waits] == [
        ("_local_scalar_dense", "test_accelerator.py")
    ]


def test_moments_of_another_layout(still: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "_lay_out_as_parameters", lambda optimizer: None)
    with pytest.raises(RefusedError, match="must have same dtype, device, and layout"):
        run(still, tmp_path, monkeypatch)


@pytest.mark.parametrize(
    "read",
    [
        lambda x: x.sum().item(),
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: bool((x > 0).any()),
        lambda x: x.cpu(),
        lambda x: x.tolist(),
        lambda x: x[torch.tensor([0])],
        lambda x: torch.ones(3).to(GPU) + x,
        lambda x: torch.ones(3).to(GPU, non_blocking=True) + x,
        lambda x: torch.tensor([1.0], device=GPU) + x,
        lambda x: torch.linalg.svdvals(x[None]),
    ],
)
def test_what_would_wait_is_seen(read: Callable[[Tensor], object]) -> None:
    with pretend_gpu() as seen:
        x = torch.ones(3, device="cuda")
        assert not seen.waits
        read(x)
    assert sum(seen.waits.values()) == 1


@pytest.mark.parametrize(
    "mixed",
    [
        lambda x: x + torch.ones(3),
        lambda x: torch.cat([x, torch.ones(1)]),
        lambda x: torch.ones(3).add_(x),
        lambda x: torch.ones(3)[x.long() - 1],
        lambda x: torch.ones(3).index_add_(0, torch.tensor([0, 1, 2]), x),
        lambda x: torch.nn.Linear(3, 1)(x),
        lambda x: x.pin_memory(),
    ],
)
def test_what_is_not_in_one_place_is_refused(mixed: Callable[[Tensor], object]) -> None:
    with pretend_gpu(), pytest.raises(RefusedError):
        mixed(torch.ones(3, device="cuda"))


def test_numpy_cannot_see_the_device() -> None:
    with pretend_gpu(), pytest.raises(TypeError, match="device type tensor to numpy"):
        torch.ones(3, device="cuda").numpy()


def test_pinned_copies_do_not_wait_and_what_is_there_says_so() -> None:
    with pretend_gpu() as seen:
        x = torch.ones(3, pin_memory=True).to("cuda", non_blocking=True)
        assert (x.device, x.is_cuda, (x * 2).device, torch.ones(2).device.type) == (GPU, True, GPU, "cpu")
    assert not seen.waits
    assert seen.copied["", "to the device"] == 12
    assert seen.launches[""] == 1
