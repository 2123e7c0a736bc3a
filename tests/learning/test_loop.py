"""The epoch loop on an algorithm whose losses are written down beforehand."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.errors import NotFiniteError
from harness.learning.algorithm import Algorithm, Losses, RunContext
from harness.learning.data import UnlabeledBatch
from harness.learning.loop import EpochDone, run_epochs
from harness.learning.losses import nuclear_norm
from harness.specs.base import Frozen
from tests.learning.parts import compute, context


def batch(size: int = 4) -> UnlabeledBatch:
    return UnlabeledBatch((torch.zeros(size, 3, 2, 2),), torch.arange(size))


class Scripted(Algorithm):
    """Epoch e, iteration i returns the e-th script's i-th losses; both are remembered."""

    class Params(Frozen):
        script: Any  # [epoch][iteration] -> losses by name, NaN allowed
        pairs: bool = False

    params: Params

    def build(self) -> None:
        self.seen: list[tuple[int, int]] = []

    def begin_epoch(self, epoch: int) -> Iterator[object]:
        self.epoch, self.iteration = epoch, 0
        for _ in self.params.script[epoch]:
            yield (batch(4), batch(2)) if self.params.pairs else batch(4)

    def step(self, batch: object) -> Losses:
        self.seen.append((self.epoch, self.iteration))
        losses = self.params.script[self.epoch][self.iteration]
        self.iteration += 1
        return {name: torch.tensor(float(value), requires_grad=True) for name, value in losses.items()}

    def export(self) -> dict[str, Tensor]:
        return {}


def run(
    script: list[list[Mapping[str, float]]], pairs: bool = False, done: int = 0
) -> tuple[Scripted, list[EpochDone]]:
    run: RunContext = context(compute=compute(epochs=len(script)))
    run.state.epoch = done
    algorithm = Scripted(run, Scripted.Params.model_validate({"script": script, "pairs": pairs}))
    reports: list[EpochDone] = []

    def observe(report: EpochDone) -> None:
        assert algorithm.run.state.epoch == report.epoch  # the state is complete when it is observed
        reports.append(report)

    run_epochs(algorithm, observe)
    return algorithm, reports


def test_epochs_and_iterations_in_order_with_mean_losses() -> None:
    algorithm, reports = run([[{"total": 3, "a": 1}, {"total": 5, "a": 3}], [{"total": 1, "a": 0}]])
    assert algorithm.seen == [(0, 0), (0, 1), (1, 0)]
    assert [report.epoch for report in reports] == [1, 2]
    assert [report.losses for report in reports] == [{"total": 4, "a": 2}, {"total": 1, "a": 0}]
    assert [report.images for report in reports] == [8, 4]
    assert all(report.seconds >= 0 for report in reports)


def test_it_continues_where_the_state_stands() -> None:
    algorithm, reports = run([[{"total": 1}], [{"total": 2}], [{"total": 3}]], done=2)
    assert algorithm.seen == [(2, 0)]
    assert [(report.epoch, report.losses) for report in reports] == [(3, {"total": 3})]


def test_a_finished_run_does_nothing() -> None:
    assert run([[{"total": 1}]], done=1)[1] == []


def test_images_of_paired_batches_are_added() -> None:
    assert run([[{"total": 1}]] * 2, pairs=True)[1][0].images == 6


def test_steps_without_losses() -> None:
    assert run([[{}, {}]])[1][0].losses == {}


@pytest.mark.parametrize(("value", "word"), [(float("nan"), "nan"), (float("inf"), "inf"), (float("-inf"), "-inf")])
def test_a_broken_loss_names_epoch_iteration_and_the_part_that_broke(value: float, word: str) -> None:
    good = {"total": 1.0, "identity": 1.0, "triplet": 0.0}
    bad = {"total": value, "identity": 1.0, "triplet": value}
    reports: list[EpochDone] = []
    algorithm = Scripted(
        context(compute=compute(epochs=3)),
        Scripted.Params.model_validate({"script": [[good], [good, good, bad, bad], [good]]}),
    )
    message = rf"epoch 2, iteration 3: loss 'triplet' is {word}; .*epoch 1"
    with pytest.raises(NotFiniteError, match=message):
        run_epochs(algorithm, reports.append)
    assert algorithm.run.state.epoch == 1
    assert [report.epoch for report in reports] == [1]  # the broken epoch was not observed, so not saved


def test_a_matrix_of_nan_is_told_like_a_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """A decomposition would raise for it, and name no loss."""

    def step(algorithm: Scripted, batch: object) -> Losses:
        algorithm.seen.append((algorithm.epoch, len(algorithm.seen)))
        return {"total": nuclear_norm(torch.full((3, 4), float("nan" if len(algorithm.seen) == 3 else 1)))}

    monkeypatch.setattr(Scripted, "step", step)
    with pytest.raises(NotFiniteError, match=r"epoch 2, iteration 2: loss 'total' is nan; .* epoch 1's"):
        run([[{}], [{}, {}]])


def test_a_broken_total_alone_is_named() -> None:
    with pytest.raises(NotFiniteError, match="iteration 1: loss 'total' is nan"):
        run([[{"total": float("nan"), "identity": 1.0}]])


def test_breaking_in_the_first_epoch_does_not_promise_a_checkpoint() -> None:
    with pytest.raises(NotFiniteError) as error:
        run([[{"total": float("nan")}]])
    assert "epoch 0" not in str(error.value)


class Drawing(Scripted):
    """A network that draws random numbers of its own, as drop path does."""

    def step(self, batch: object) -> Losses:
        super().step(batch)
        return {"total": torch.rand(())}


def test_what_a_network_draws_is_the_same_after_an_interruption() -> None:
    def losses(first: int, seed: int = 0) -> list[float]:
        run = context(compute=compute(epochs=3), seed=seed)
        run.state.epoch = first
        done: list[EpochDone] = []
        run_epochs(Drawing(run, Drawing.Params(script=[[{}, {}]] * 3)), done.append)
        return [epoch.losses["total"] for epoch in done]

    whole = losses(0)
    assert losses(1) == whole[1:]
    assert len(set(whole)) == 3
    assert losses(0, seed=1) != whole
