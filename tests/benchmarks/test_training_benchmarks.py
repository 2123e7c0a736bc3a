"""The benchmarks of batches and training, at sizes where only their figures mean nothing. Nothing here is timed."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import batches, epoch, methods, peers, training
from harness.learning.augment import augmented, unchanged
from harness.specs import Registry
from harness.specs.compute import Augment

CPU = torch.device("cpu")


def test_the_published_pipeline_without_chance_is_the_cache():
    (file,) = batches.jpegs(1, *batches.STORED)
    none = Augment(flip=0, pad=0, erase=0, jitter=0)
    cached = np.asarray(batches.decoded(file).resize(batches.FED[::-1], Image.Resampling.BICUBIC))[None]
    expected = batches.published(batches.FED, none)(batches.decoded(file))
    torch.testing.assert_close(augmented(cached, np.arange(1), unchanged(1))[0], expected, atol=2e-6, rtol=0)


def test_a_step_is_fed_in_three_ways():
    outcome = training.outcome(training.CPU, CPU, iterations=2, repeats=1, with_reference=True)
    assert outcome.size == "2×64 images"
    assert all(word in outcome.agreement for word in ("images/s", "resident batch", "PIL", "warm-up"))
    assert outcome.ratio is not None


def test_a_compiled_step_says_from_when_on_it_pays():
    (outcome,) = training.compiled(training.CPU, CPU, 1, {"traced": {"backend": "eager"}})
    assert outcome.benchmark == "step traced on cpu"
    assert outcome.agreement.startswith("compiled in ") and "pays" in outcome.agreement
    assert outcome.ratio is not None


def test_six_networks_and_what_one_would_take():
    outcome = peers.outcome(training.CPU.network, CPU, iterations=1, repeats=1, with_reference=True)
    assert outcome.agreement.endswith("ms an iteration")
    assert outcome.ratio is not None
    assert outcome.over_limit is not None


def test_an_epochs_phases_and_the_schedule_made_of_them():
    *phases, schedule = epoch.outcomes(training.CPU, CPU, images=128, iterations=1, repeats=1)
    assert [phase.benchmark for phase in phases] == [
        f"epoch {name} on cpu" for name in ("features", "k-NN", "Jaccard", "DBSCAN", "training")
    ]
    assert schedule.ours_s == pytest.approx(epoch.EPOCHS * sum(phase.ours_s for phase in phases))
    assert "NOT measured" in schedule.agreement


@pytest.mark.parametrize("name", ["adabn", "sskd"])
def test_a_method_on_drawn_images(name: str):
    few = {"network": {"backbone": {"kind": "narrow"}}, "batch": {"identities": 4, "instances": 4}}
    registry = Registry.load(Path(__file__).parents[2]).checked()
    trial = methods.Trial(registry, CPU, methods.Scale(32, 16, 16, 2, 20, few))
    for precision in methods.PRECISIONS:
        outcome = trial.outcome(name, precision)
        assert outcome.benchmark == f"{name} {precision}"
        assert "STOPPED" not in outcome.agreement
        assert ("loss" in outcome.agreement) and "NOT FINITE" not in outcome.agreement
        assert "the paper regime was NOT measured" in outcome.agreement
