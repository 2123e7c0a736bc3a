"""What is planned from the specs, and what each planned run depends on."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UserError
from harness.inputs.yaml import read_yaml
from harness.pipeline.code import RESOLVING, SHARED
from harness.pipeline.plan import plan_document, plan_pairings, starter_pairings, with_inits, write_plan
from harness.specs import Pairing, Registry
from tests.pipeline.tiny import PROJECT, shipped
from tests.specs.conftest import Specs, small, specs

__all__ = ["small", "specs"]

CHILD = "title: A child\ndescription: One of a long line.\nrole: ablation\nstarter: false\njudged_against: []\n"


def planned(registry: Registry, methods: list[str] | None = None, targets: list[str] | None = None) -> list[str]:
    return [pairing.key for pairing in plan_pairings(registry, [0], methods, targets)]


def test_every_method_meets_every_task_that_it_fits(specs: Specs) -> None:
    assert sorted(planned(specs.load())) == [
        "clusters__autumn__s0",
        "clusters__spring__s0",
        "moved__autumn-to-spring__s0",
        "moved__spring-to-autumn__s0",
        "teacher__autumn__s0",
        "teacher__spring__s0",
    ]


def test_what_is_chosen_brings_what_it_starts_from(specs: Specs) -> None:
    chosen = planned(specs.load(), ["moved"], ["spring"])
    assert sorted(chosen) == ["moved__autumn-to-spring__s0", "teacher__autumn__s0"]


def test_seeds_of_a_start_are_given_or_follow_the_runs_own(specs: Specs) -> None:
    registry = specs.load()
    assert registry.init_pairings(Pairing("clusters", None, "spring", 7)) == [Pairing("teacher", None, "autumn", 0)]
    assert registry.init_pairings(Pairing("moved", "autumn", "spring", 7)) == [Pairing("teacher", None, "autumn", 7)]
    assert registry.init_pairings(Pairing("teacher", None, "spring", 7)) == []


def test_a_run_depends_on_its_start_its_data_and_its_resolved_spec(specs: Specs) -> None:
    registry = specs.load()
    entry = plan_document(registry, plan_pairings(registry, [0]))["runs"]["moved__autumn-to-spring__s0"]
    assert entry["spec"] == "results/specs/moved/autumn-to-spring.json"
    assert (entry["target"], entry["source"]) == ("data/prepared/spring/info.json", "data/prepared/autumn/info.json")
    start, *unused = entry["init"]
    assert start == "results/runs/teacher__autumn__s0/checkpoint.safetensors"
    assert all(path.startswith("data/prepared/spring/") for path in unused)


def test_a_plan_is_read_back_as_it_was_written(specs: Specs) -> None:
    registry = specs.load()
    pairings = plan_pairings(registry, [0, 3])
    path = write_plan(registry, pairings)
    assert read_yaml(path) == plan_document(registry, pairings)
    assert list(specs.load().planned.values()) == pairings
    before = path.read_bytes()
    assert write_plan(specs.load(), plan_pairings(specs.load(), [0, 3])).read_bytes() == before


def test_closing_a_plan_under_its_starts_adds_nothing_twice(specs: Specs) -> None:
    registry = specs.load()
    pairings = plan_pairings(registry, [0, 1])
    assert with_inits(registry, pairings) == pairings
    assert len(set(pairings)) == len(pairings)


def test_names_that_are_unknown_or_not_here_yet(specs: Specs) -> None:
    with pytest.raises(UserError, match=r"no method is called 'move'; did you mean 'moved'\?"):
        planned(specs.load(), ["move"])
    with pytest.raises(UserError, match=r"no dataset is called 'sprong'; did you mean 'spring'\?"):
        planned(specs.load(), None, ["sprong"])
    with pytest.raises(UserError, match="dataset 'market1501' is not here yet; run: harness data add market1501 PATH"):
        planned(shipped(), None, ["market1501"])


def test_a_broken_spec_keeps_the_plan_as_it_is(specs: Specs) -> None:
    specs.edit("methods/clusters.yaml", "epochs: 2", "epochs: two")
    with pytest.raises(UserError, match="epochs"):
        specs.plan()


def test_a_chain_of_four_specs_is_refused(specs: Specs) -> None:
    for name, parent in (("one", "teacher"), ("two", "one"), ("three", "two")):
        specs.write(f"methods/{name}.yaml", f"name: {name}\nextends: {parent}\n{CHILD}")
    with pytest.raises(UserError, match=r"methods/three.yaml: extends: a chain of more than three specs"):
        specs.plan()


def test_the_starter_plan_is_one_direction_and_one_seed() -> None:
    pairings = starter_pairings(shipped())
    registry = shipped()
    starters = {name for name, spec in registry.methods.items() if spec.starter}
    assert {pairing.method for pairing in pairings} >= starters
    tasks = {pairing.task for pairing in pairings if pairing.method in starters}
    targets = {name for name, spec in registry.datasets.items() if spec.starter}
    assert {task.split("-to-")[-1] for task in tasks} == targets
    assert {pairing.seed for pairing in pairings if pairing.method in starters} == {0}


def test_the_committed_plan_covers_every_method_of_the_drawn_benchmark() -> None:
    registry = Registry.load(PROJECT)
    drawn = {name for name, spec in registry.methods.items() if "drawn" in spec.regimes and spec.role != "init"}
    runs = registry.planned.values()
    for target in ("drawn-summer", "drawn-winter"):
        for seed in (0, 1, 2):
            assert drawn <= {run.method for run in runs if (run.target, run.seed) == (target, seed)}


def test_the_code_stage_depends_on_all_code_that_runs_share() -> None:
    assert read_yaml(PROJECT / "dvc.yaml")["stages"]["code"]["deps"] == [RESOLVING, *SHARED]


def test_nothing_in_the_pipeline_names_a_method_a_dataset_or_a_machine() -> None:
    text = (PROJECT / "dvc.yaml").read_text()
    names = [*shipped().methods, *shipped().datasets, str(Path.home()), "cuda"]
    assert [name for name in names if name in text.replace("prepare@", "")] == []
