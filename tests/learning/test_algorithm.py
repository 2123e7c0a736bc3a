"""What a run gives its algorithm: random streams and training sets; and the networks it starts from."""

import numpy as np
import pytest
import torch

from harness.errors import UserError
from harness.learning import initialize
from harness.learning.networks import build
from tests.learning.parts import CPU, compute, context, labeled, network, unlabeled


def numbers(stream: np.random.Generator) -> tuple[float, ...]:
    return tuple(stream.random(4))


def test_a_stream_is_a_function_of_seed_purpose_and_epoch() -> None:
    run = context(seed=3)
    run.rng("sample", 2).random(1000)  # drawing from one shifts no other
    assert numbers(run.rng("sample", 2)) == numbers(context(seed=3).rng("sample", 2))
    streams = [
        context(seed=seed).rng(purpose, epoch)
        for seed in (0, 1)
        for purpose in ("sample", "augment")
        for epoch in (0, 1)
    ]
    assert len({numbers(stream) for stream in streams}) == 8


def test_every_view_has_its_own_stream() -> None:
    one, three = context().view_rngs(1), context().view_rngs(1, 3)
    drawn = [numbers(stream) for stream in three]
    assert len(set(drawn)) == 3
    assert [numbers(stream) for stream in one] == drawn[:1]


def test_a_run_hands_out_only_the_sets_it_has() -> None:
    source, target = labeled(), unlabeled()
    run = context(source=source, target=target)
    assert run.labeled is source
    assert run.unlabeled is target
    with pytest.raises(UserError, match="supervised or uda"):
        _ = context(target=target).labeled
    with pytest.raises(UserError, match="usl or uda"):
        _ = context(source=source).unlabeled


def test_a_random_start_depends_on_the_runs_seed_and_the_networks_name() -> None:
    def weight(seed: int, name: str) -> tuple[float, ...]:
        run = context(seed=seed)
        net = initialize.network(run, name)
        assert run.state.modules == {name: net}
        return tuple(net.backbone.get_parameter("0.weight").flatten().tolist())

    assert weight(0, "a") == weight(0, "a")
    assert len({weight(0, "a"), weight(1, "a"), weight(0, "b")}) == 3


def test_a_given_start_is_copied() -> None:
    starts = tuple(build(network(), seed, CPU).state_dict() for seed in (0, 1))
    run = context(init=starts)
    for position, start in enumerate(starts):
        state = initialize.network(run, f"peer{position}", position).state_dict()
        assert all(torch.equal(state[name], start[name]) for name in start)
        assert state["backbone.0.weight"].data_ptr() != start["backbone.0.weight"].data_ptr()


def test_a_start_of_another_architecture_is_an_error() -> None:
    run = context(init=(build(network(), 0, CPU).state_dict(),), compute=compute(network=network(pooling="gem")))
    with pytest.raises(UserError, match="init: belongs to another architecture"):
        initialize.network(run, "network")
