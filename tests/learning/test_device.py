"""Which device a run gets, what it says where there is none, and arrays that travel together."""

import warnings
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from harness.errors import OutOfMemoryError, UserError
from harness.learning.device import choose_device, to_device, together_to_device
from harness.learning.out_of_memory import explained
from harness.learning.pixels import Resident, Streamed, choose_storage
from tests.learning.parts import CPU, compute, images, network
from tests.pretend.accelerator import GPU, pretend_gpu


@pytest.fixture(autouse=True)
def no_choice(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    threads = torch.get_num_threads()
    monkeypatch.delenv("HARNESS_DEVICE", raising=False)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("threads", ["1", "2"])
def test_linear_algebra_has_one_thread_whatever_the_machine(monkeypatch: pytest.MonkeyPatch, threads: str) -> None:
    monkeypatch.setenv("HARNESS_DEVICE", "cpu")
    monkeypatch.setenv("HARNESS_THREADS", threads)
    with threadpool_limits(2, user_api="blas"):
        choose_device()
        assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {1}
        assert torch.get_num_threads() == int(threads)


def test_the_first_gpu_where_there_is_one_and_float32_means_float32() -> None:
    with pretend_gpu():
        assert choose_device() == torch.device("cuda", 0)
        assert torch.backends.cuda.matmul.fp32_precision == "ieee"
        assert torch.backends.cudnn.conv.fp32_precision == "ieee"  # type: ignore[attr-defined]
    assert torch.backends.cudnn.conv.fp32_precision != "ieee"  # type: ignore[attr-defined]  # the pretence leaves nothing behind


def test_one_of_several_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[torch.device] = []
    with pretend_gpu():
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
        monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
        monkeypatch.setenv("HARNESS_DEVICE", "cuda:1")
        assert choose_device() == torch.device("cuda", 1)
        assert chosen == [torch.device("cuda", 1)]
        monkeypatch.setenv("HARNESS_DEVICE", "cuda:2")
        with pytest.raises(UserError, match="HARNESS_DEVICE=cuda:2: there are 2 GPUs, cuda:0 to cuda:1"):
            choose_device()
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
        with pytest.raises(UserError, match="HARNESS_DEVICE=cuda:2: there is one GPU, cuda:0"):
            choose_device()


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:-1", "cuda1", "mps"])
def test_what_is_no_device(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("HARNESS_DEVICE", name)
    with pytest.raises(UserError, match=f"HARNESS_DEVICE={name}: must be"):
        choose_device()


@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("HARNESS_DEVICE", name)
    with pytest.raises(UserError, match=f"HARNESS_DEVICE={name}: torch sees no GPU"):
        choose_device()
    monkeypatch.delenv("HARNESS_DEVICE")
    assert choose_device() == CPU


def test_a_driver_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch says so by a warning and goes on without a GPU."""

    def is_available() -> bool:
        warnings.warn(
            "CUDA initialization: The NVIDIA driver on your system is too old (found version 11040). (Triggered "
            "internally at /pytorch/c10/cuda/CUDAFunctions.cpp:109.)",
            stacklevel=1,
        )
        return False

    monkeypatch.setattr(torch.cuda, "is_available", is_available)
    with pytest.raises(UserError, match=r"driver on your system is too old \(found version 11040\)\.; mend") as caught:
        choose_device()
    assert "CUDAFunctions" not in str(caught.value)
    monkeypatch.setenv("HARNESS_DEVICE", "cpu")
    assert choose_device() == CPU


def test_arrays_travel_together_and_arrive_as_they_were() -> None:
    arrays = [
        np.arange(3), np.array([True, False, True]), np.ones((2, 3), np.float32), np.empty((0, 4), np.int32),
        np.arange(12.0).reshape(3, 4).T,
    ]  # fmt: skip
    with pretend_gpu() as seen:
        sent = together_to_device(arrays, GPU)
        assert seen.copies == {("", "to the device"): 1}
        assert not seen.waits
        assert all(tensor.device == GPU for tensor in sent)
        arrived = [tensor.cpu().numpy() for tensor in sent]
    for tensor, array in zip(arrived, arrays, strict=True):
        np.testing.assert_array_equal(tensor, array)
        assert tensor.dtype == array.dtype
    same = np.arange(3)
    assert to_device(same, CPU).data_ptr() == same.ctypes.data


def test_images_stay_on_the_host_if_the_device_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = images(20)
    with pretend_gpu():
        assert type(choose_storage(pictures, GPU)) is Resident
    with pretend_gpu(free_bytes=2 * pictures.nbytes):
        assert type(choose_storage(pictures, GPU)) is Streamed

    def taken(*_: object) -> None:  # by another process, after the question
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pretend_gpu():
        monkeypatch.setattr(Resident, "__init__", taken)
        assert type(choose_storage(pictures, GPU)) is Streamed


def test_too_little_memory_is_told_with_what_helps() -> None:
    def run_out(**changes: object) -> str:
        with (
            pretend_gpu(free_bytes=2**30),
            pytest.raises(OutOfMemoryError) as caught,
            explained(compute(**changes), GPU),
        ):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        assert caught.value.reason == "out-of-memory"
        return str(caught.value)

    assert "other processes hold 79.0" in run_out()
    assert "precision: bf16, or a smaller batch than 4×4" in run_out()
    ghost = run_out(network=network(bn_groups=4), precision="bf16")
    assert "half of batch.identities 4 together with half of network.bn_groups 4" in ghost
    assert "leaves BatchNorm its 4 images" in ghost
    assert "precision" not in ghost
