"""The last two states of an unfinished run are kept; a torn one falls back on the one before."""

from pathlib import Path

import pytest
import torch

from harness.errors import UserError
from harness.learning.state import CheckpointWriter, RunState
from harness.pipeline.training import resume
from harness.pipeline.training.resume import Progress


def saved(path: Path) -> None:
    state, progress, writer = RunState(), Progress(), CheckpointWriter(torch.device("cpu"))
    for epoch in (1, 2):
        state.epoch, state.tensors = epoch, {"weights": torch.full((50,), float(epoch))}
        progress.rows.append({"epoch": epoch})
        resume.save(writer, path, state, progress, "same")
    writer.finish()


def restored(path: Path, identity: str = "same") -> tuple[RunState, Progress, str]:
    state, progress = RunState(), Progress()
    said = resume.restore(path, state, progress, identity)
    return state, progress, said


def test_the_newest_state_is_taken(tmp_path: Path) -> None:
    saved(tmp_path / "run.safetensors")
    state, progress, said = restored(tmp_path / "run.safetensors")
    assert (state.epoch, said, len(progress.rows)) == (2, "resumed after epoch 2", 2)


@pytest.mark.parametrize("damage", ["cut", "flipped", "gone"])
def test_a_torn_state_falls_back_on_the_one_before(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "run.safetensors"
    saved(path)
    whole = path.read_bytes()
    if damage == "gone":  # killed between the two renames
        path.unlink()
    else:
        path.write_bytes(whole[:100] if damage == "cut" else whole[:-1] + bytes([whole[-1] ^ 1]))
    state, progress, said = restored(path)
    assert (state.epoch, len(progress.rows)) == (1, 1)
    assert said.endswith("resumed after epoch 1")
    assert state.tensors["weights"].tolist() == [1.0] * 50


def test_two_torn_states_are_an_error_not_a_fresh_start(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    saved(path)
    for file in tmp_path.iterdir():
        file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(UserError, match="not a readable checkpoint"):
        restored(path)


def test_another_run_starts_afresh_and_forgetting_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    saved(path)
    state, _, said = restored(path, "other")
    assert state.epoch == 0
    assert "starting afresh" in said
    resume.forget(path)
    assert list(tmp_path.iterdir()) == []
