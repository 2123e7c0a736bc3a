"""A run's state comes back bit for bit; what cannot be read or written is a clear error and leaves nothing behind."""

import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.errors import DiskError, UserError
from harness.learning import optim
from harness.learning.networks import build
from harness.learning.state import CheckpointWriter, RunState, read_tensors, write_tensors
from tests.learning.parts import CPU, adam, network
from tests.pretend.accelerator import GPU, pretend_gpu


def state_of_a_run(seed: int) -> tuple[RunState, nn.Module, torch.optim.Adam]:
    net = build(network(pooling="gem"), seed, CPU)
    optimizer = optim.adam([net], adam(0.01, 5e-4))
    state = RunState()
    state.modules["net"] = net
    state.optimizers["adam"] = optimizer
    return state, net, optimizer


def train(net: nn.Module, optimizer: torch.optim.Adam, steps: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        loss = net(torch.randn(6, 3, 32, 16, generator=generator)).neck.tanh().pow(2).mean()
        optim.minimize(loss, optimizer)


def assert_equal(first: object, second: object) -> None:
    if isinstance(first, Tensor):
        assert isinstance(second, Tensor)
        assert first.dtype == second.dtype
        assert torch.equal(first, second)
    elif isinstance(first, dict):
        assert isinstance(second, dict)
        assert first.keys() == second.keys()
        for key in first:
            assert_equal(first[key], second[key])
    elif isinstance(first, list | tuple):
        assert list(first) == list(second)  # type: ignore[call-overload]  # JSON makes lists of tuples
    else:
        assert first == second


def test_everything_comes_back_bit_for_bit(tmp_path: Path) -> None:
    state, net, optimizer = state_of_a_run(0)
    train(net, optimizer, 3, seed=1)
    state.tensors |= {"memory": torch.randn(4, 3), "a/b": torch.tensor([1, -1]), "empty": torch.zeros(0, 5)}
    state.tensors["turned"] = torch.randn(4, 3).T  # not contiguous
    state.values |= {"eps": 0.1 + 0.2, "bound": None, "names": ["a"]}
    state.epoch = 7
    state.save(tmp_path / "state.safetensors", {"identity": "abc"})
    other, other_net, other_optimizer = state_of_a_run(1)
    other.load(tmp_path / "state.safetensors")
    assert_equal(net.state_dict(), other_net.state_dict())
    assert_equal(optimizer.state_dict()["state"], other_optimizer.state_dict()["state"])
    for ours, theirs in zip(optimizer.param_groups, other_optimizer.param_groups, strict=True):
        assert_equal({k: v for k, v in ours.items() if k != "params"}, {k: theirs[k] for k in ours if k != "params"})
    assert_equal(state.tensors, other.tensors)
    assert (other.epoch, other.values) == (7, state.values)
    assert read_tensors(tmp_path / "state.safetensors")[1]["identity"] == "abc"


def test_training_goes_on_as_if_never_interrupted(tmp_path: Path) -> None:
    state, net, optimizer = state_of_a_run(0)
    train(net, optimizer, 3, seed=1)
    state.save(tmp_path / "state.safetensors", {})
    other, other_net, other_optimizer = state_of_a_run(5)
    other.load(tmp_path / "state.safetensors")
    train(net, optimizer, 5, seed=2)
    train(other_net, other_optimizer, 5, seed=2)
    assert_equal(net.state_dict(), other_net.state_dict())


def test_a_state_before_the_first_step_comes_back(tmp_path: Path) -> None:
    state, *_ = state_of_a_run(0)
    state.save(tmp_path / "state.safetensors", {})
    other, other_net, other_optimizer = state_of_a_run(1)
    other.load(tmp_path / "state.safetensors")
    assert_equal(state.modules["net"].state_dict(), other_net.state_dict())
    train(other_net, other_optimizer, 1, seed=0)


def test_tensors_that_share_memory_can_be_saved(tmp_path: Path) -> None:
    base = torch.arange(6.0).view(2, 3)
    write_tensors({"a": base, "b": base, "row": base[1]}, tmp_path / "t.safetensors", {})
    tensors, metadata = read_tensors(tmp_path / "t.safetensors")
    assert_equal(tensors, {"a": base, "b": base, "row": base[1]})
    assert metadata == {}


def test_saving_again_replaces_the_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "t.safetensors"
    for value in (1.0, 2.0):
        write_tensors({"a": torch.tensor([value])}, path, {})
    assert read_tensors(path)[0]["a"].item() == 2
    assert [p.name for p in path.parent.iterdir()] == ["t.safetensors"]


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "folder"])
def test_a_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "state.safetensors"
    state_of_a_run(0)[0].save(path, {})
    whole = path.read_bytes()
    if damage == "folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes({"truncated": whole[: len(whole) // 2], "empty": b"", "text": b"hello " * 50}[damage])
    said = "cannot be read: it is a folder" if damage == "folder" else "not a readable checkpoint"
    with pytest.raises(UserError, match=rf"state\.safetensors: {said}"):
        state_of_a_run(0)[0].load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.safetensors: no such checkpoint"):
        read_tensors(tmp_path / "gone.safetensors")


def test_another_architectures_state_is_an_error(tmp_path: Path) -> None:
    state_of_a_run(0)[0].save(tmp_path / "state.safetensors", {})
    other = RunState()
    other.modules["net"] = build(network(pooling="average"), 0, CPU)
    with pytest.raises(UserError, match=r"state\.safetensors: belongs to another architecture.*'pool\.p'"):
        other.load(tmp_path / "state.safetensors")


def test_where_nothing_can_be_written_the_error_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way of a folder")
    with pytest.raises(UserError, match=r"t\.safetensors: cannot be written.*permissions"):
        write_tensors({"a": torch.zeros(1)}, tmp_path / "file" / "t.safetensors", {})
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_target_that_cannot_be_replaced_leaves_no_partial_file(tmp_path: Path) -> None:
    (tmp_path / "t.safetensors" / "inside").mkdir(parents=True)
    with pytest.raises(UserError, match="cannot be written"):
        write_tensors({"a": torch.zeros(1)}, tmp_path / "t.safetensors", {})
    assert [p.name for p in tmp_path.iterdir()] == ["t.safetensors"]


def test_a_read_only_folder_keeps_its_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer is refused as on a read-only disk (permissions do not stop a superuser)."""
    path = tmp_path / "t.safetensors"
    write_tensors({"a": torch.ones(1)}, path, {})

    def refused(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as read_only:
        read_only.setattr("harness.learning.state.save_file", refused)
        read_only.setattr(Path, "unlink", refused)
        with pytest.raises(UserError, match=r"cannot be written: .*Read-only file system"):
            write_tensors({"a": torch.zeros(1)}, path, {})
    assert read_tensors(path)[0]["a"].item() == 1
    assert [p.name for p in tmp_path.iterdir()] == ["t.safetensors"]


def test_moments_come_back_in_the_layout_of_their_parameters(tmp_path: Path) -> None:
    """CUDA's fused Adam refuses another one; weights are channels-last, files are contiguous."""
    state, net, optimizer = state_of_a_run(0)
    train(net, optimizer, 1, seed=1)
    state.save(tmp_path / "state.safetensors", {})
    other, *_ = state_of_a_run(5)
    other.load(tmp_path / "state.safetensors")
    found = 0
    for parameter, slots in other.optimizers["adam"].state.items():
        for name in ("exp_avg", "exp_avg_sq"):
            assert slots[name].stride() == parameter.stride()
            found += not parameter.is_contiguous()
    assert found


def test_a_gpus_checkpoint_is_of_the_moment_it_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written beside the next epoch, whose changes it must not see; the next save waits for it."""
    go_on, path = threading.Event(), tmp_path / "state.safetensors"

    def slow(*arguments: Any) -> None:
        assert go_on.wait(60)
        write_tensors(*arguments)

    monkeypatch.setattr("harness.learning.state.write_tensors", slow)
    with pretend_gpu():
        writer, state = CheckpointWriter(GPU), RunState()
        state.tensors["memory"] = torch.zeros(3, device="cuda")
        writer.save(state, path, {})
        state.tensors["memory"] += 1
        assert not path.exists()
        go_on.set()
        writer.finish()
        assert read_tensors(path)[0]["tensor/memory"].tolist() == [0, 0, 0]
        writer.save(state, path, {})
        writer.save(state, path, {})  # waits for the one before
        writer.finish()
    assert read_tensors(path)[0]["tensor/memory"].tolist() == [1, 1, 1]


@pytest.mark.parametrize("device", [CPU, GPU])
def test_a_checkpoint_that_cannot_be_written_is_told_once(tmp_path: Path, device: torch.device) -> None:
    (tmp_path / "file").write_text("in the way of a folder")
    with pretend_gpu():
        writer = CheckpointWriter(device)
        with pytest.raises(DiskError, match="cannot be written"):
            writer.save(RunState(), tmp_path / "file" / "state.safetensors", {})
            writer.finish()
        writer.finish()


def test_equal_tensors_and_metadata_are_equal_bytes(tmp_path: Path) -> None:
    """In new processes too: the library orders metadata by a hash with a random seed."""
    metadata = {name: "x" * index for index, name in enumerate(["method", "key", 'ä\n\x1f"\\', "identity", "state"])}
    tensors = {"b": torch.arange(6.0).reshape(2, 3), "a": torch.tensor([1, 2])}
    files = [tmp_path / f"{turn}.safetensors" for turn in range(20)]
    for turn, file in enumerate(files):
        order = sorted(metadata) if turn % 2 else list(metadata)
        write_tensors(tensors, file, {name: metadata[name] for name in order})
    assert len({file.read_bytes() for file in files}) == 1
    found, stated = read_tensors(files[0])
    assert stated == metadata
    assert all(torch.equal(found[name], value) for name, value in tensors.items())


def test_one_flipped_bit_anywhere_is_found(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    write_tensors({"a": torch.arange(40.0), "b": torch.tensor([True, False])}, path, {"key": "value"})
    whole = path.read_bytes()
    for position in range(0, len(whole), 7):
        for bit in (0, 6):
            damaged = bytearray(whole)
            damaged[position] ^= 1 << bit
            path.write_bytes(damaged)
            try:
                tensors, metadata = read_tensors(path)
            except UserError as error:
                assert str(path) in str(error)
            else:  # a space among the header's padding stands for nothing
                assert torch.equal(tensors["a"], torch.arange(40.0)), position
                assert metadata["key"] == "value"
