"""The GPU's benchmark: what it counts without one does not rise, and its code for one runs on the pretend GPU."""

from pathlib import Path

import pytest
import torch

from benchmarks import evaluate, gpu, jaccard, methods, page, search
from benchmarks.measure import Outcome
from harness.specs import Registry
from tests.pretend.accelerator import pretend_gpu


@pytest.mark.parametrize(("groups", "launches", "others"), [(1, 453, 54.5), (4, 1_354, 71.5)])
def test_the_backbones_pass_asks_no_more_of_a_gpu(groups: int, launches: int, others: float) -> None:
    found = gpu.backbone_pass(groups)
    assert found.launches <= launches
    assert found.others <= others


def test_features_on_a_gpu_are_ranked_and_searched_there() -> None:
    with pretend_gpu() as seen:
        device = torch.device("cuda")
        ranking = evaluate.on_gpu(20, 200, device, repeats=1, dimensions=64)
        outcomes = list(jaccard.on_gpu(300, device, dimensions=64))
    assert ranking.benchmark == "evaluate from features on cuda"
    assert outcomes[0].agreement == "exact on cuda"
    assert seen.launches[""] > 0
    table = gpu.measured_section("A card", [ranking, *outcomes])
    assert table.count("\n| ") == 2 + len([ranking, *outcomes])
    assert "Card: A card" in table


def test_published_schedules_run_on_a_gpu() -> None:
    few = {
        "network": {"backbone": {"kind": "narrow"}}, "batch": {"identities": 4, "instances": 4}, "iterations": 2,
        "precision": "float32",
    }  # fmt: skip
    registry = Registry.load(gpu.PROJECT).checked()
    with pretend_gpu():
        trial = methods.Trial(registry, torch.device("cuda"), methods.Scale(32, 16, 16, 2, 5, few))
        found = [trial.schedule(name, 1) for name in ("cluster-contrast", "sskd")]
    assert [outcome.size.partition(" ")[0] for outcome in found] == ["50×2", "20×2"]
    assert all(outcome.agreement.startswith("reckoned from 1 of") for outcome in found)


def test_every_benchmark_keeps_to_its_section(tmp_path: Path) -> None:
    path = tmp_path / "performance.md"
    page.write_section("First", "one\n\n## Part\n\ntext", path)
    page.write_section("Second", "two", path)
    page.write_section("First", "anew", path)
    assert path.read_text() == "# First\n\nanew\n\n# Second\n\ntwo\n"


def test_what_is_counted_says_that_it_is() -> None:
    outcome = Outcome("an iteration of x", "8 images", 1, 0, agreement="no GPU: counted, not measured: 3 launches")
    assert "| an iteration of x | 8 images | 3 launches |" in gpu.counted_section([outcome])


def test_searches_are_compared_by_their_clusters() -> None:
    exact, ours = search.searches(400, {})
    assert (exact.name, exact.recall, exact.ari) == ("exact", 1, 1)
    assert 0.9 < ours.recall <= 1
    assert 0.8 < ours.ari <= 1
    assert "| exact |" in search.section("small", [exact, ours])
