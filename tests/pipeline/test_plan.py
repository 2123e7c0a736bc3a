"""What is planned from the specs, and what each planned run depends on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UserError
from harness.inputs.yaml import read_yaml
from harness.pipeline.code import RESOLVING, SHARED
from harness.pipeline.pipelines import plan_texts, write_plan
from harness.pipeline.plan import plan_pairings, starter_pairings, with_inits
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


def pipeline(specs: Specs, method: str) -> dict[str, Any]:
    """The stages of a method's pipeline."""
    stages: dict[str, Any] = read_yaml(specs.root / "pipelines" / method / "dvc.yaml")["stages"]
    return stages


def test_a_run_depends_on_its_start_its_data_and_its_resolved_spec(specs: Specs) -> None:
    train = pipeline(specs, "moved")["train"]
    assert train["foreach"]["moved__autumn-to-spring__s0"] == {
        "spec": "results/specs/moved/autumn-to-spring.json",
        "target": "data/prepared/spring/info.json",
        "source": "data/prepared/autumn/info.json",
        "start1": "results/runs/teacher__autumn__s0/checkpoint.safetensors",
    }
    assert train["do"]["deps"] == ["${item.spec}", "${item.target}", "${item.source}", "${item.start1}"]
    from_nothing = pipeline(specs, "teacher")["train"]
    assert list(from_nothing["foreach"]["teacher__autumn__s0"]) == ["spec", "target"]


def test_a_method_depends_on_all_that_it_extends(specs: Specs) -> None:
    for name, parent in (("one", "teacher"), ("two", "one"), ("three", "two"), ("four", "three")):
        specs.write(f"methods/{name}.yaml", f"name: {name}\nextends: {parent}\n{CHILD}")
    registry = specs.load()
    write_plan(registry, plan_pairings(registry, [0], ["four"]))
    stage = pipeline(specs, "four")["spec"]
    assert stage["params"] == [{"methods/four.yaml": None}]
    inherited = [f"methods/{name}.yaml" for name in ("three", "two", "one", "teacher")]
    assert stage["deps"] == [*inherited, "results/code.json"]  # the algorithm lies in another project


def test_runs_that_start_from_another_number_of_runs_are_a_group_of_their_own(specs: Specs) -> None:
    text = (specs.root / "methods" / "clusters.yaml").read_text()
    drawn = text[text.index("  drawn:\n") :]
    init = "{method: teacher, dataset: autumn, seeds: [0]}"
    assert init in drawn
    specs.write("methods/clusters.yaml", text + drawn.replace("  drawn:", "  paper:").replace(init, "imagenet"))
    winter = (specs.root / "datasets" / "autumn.yaml").read_text().replace("autumn", "photos").replace("drawn", "paper")
    specs.write("datasets/photos.yaml", re.sub(r"\npaper:\n(  .*\n)+", "\n", winter))
    (specs.root / "data" / "raw").mkdir(parents=True)
    (specs.root / "data" / "raw" / "photos.dvc").touch()
    registry = specs.load()
    write_plan(registry, plan_pairings(registry, [0], ["clusters"], ["spring", "photos"]))
    stages = pipeline(specs, "clusters")
    assert list(stages["train"]["foreach"]) == ["clusters__spring__s0"]
    assert list(stages["train-paper"]["foreach"]) == ["clusters__photos__s0"]
    assert stages["evaluate"]["foreach"] == ["clusters__photos__s0", "clusters__spring__s0"]


def test_a_plan_is_read_back_as_it_was_written(specs: Specs) -> None:
    registry = specs.load()
    pairings = plan_pairings(registry, [0, 3])
    assert write_plan(registry, pairings) == []
    assert list(specs.load().planned.values()) == pairings
    texts = plan_texts(registry, pairings)
    assert {path: (specs.root / path).read_text() for path in texts} == texts
    assert specs.problems() == []
    listed = read_yaml(specs.root / "pipelines" / "datasets.yaml")
    assert listed == {"drawn": ["autumn", "spring"], "prepared": ["autumn", "spring"]}


def test_a_plan_names_nothing_of_another_methods_files(specs: Specs) -> None:
    before = {path: path.read_bytes() for path in specs.root.glob("pipelines/**/*") if path.is_file()}
    specs.write("methods/one.yaml", f"name: one\nextends: teacher\n{CHILD}")
    specs.plan()
    after = {path: path.read_bytes() for path in specs.root.glob("pipelines/**/*") if path.is_file()}
    assert after.keys() - before.keys() == {specs.root / "pipelines" / "one" / "dvc.yaml"}
    assert {path: after[path] for path in before} == before


def test_a_method_that_is_planned_no_longer_loses_its_folder_and_nothing_else(specs: Specs) -> None:
    pipelines = specs.root / "pipelines"
    (pipelines / "moved" / "dvc.lock").write_text(LOCK.format(stages=ENTRY.format(name="spec")))
    (pipelines / "clusters" / "notes.txt").write_text("mine")
    (pipelines / "own").mkdir()
    (pipelines / "own" / "dvc.yaml").write_text("stages: {look: {cmd: ls}}\n")
    registry = specs.load()
    said = write_plan(registry, plan_pairings(registry, [0], ["teacher"]))
    assert said == [f"pipelines/{name}: removed; no run of {name} is planned" for name in ("clusters", "moved")]
    left = sorted(path.relative_to(pipelines).as_posix() for path in pipelines.glob("*/*"))
    assert left == ["clusters/notes.txt", "own/dvc.yaml", "teacher/dvc.yaml"]


LOCK = "schema: '2.0'\nstages:\n{stages}"
ENTRY = "  {name}:\n    cmd: harness it\n    outs:\n    - path: a\n      md5: 0123\n"


def test_a_lock_file_loses_stages_that_are_no_longer_there(specs: Specs) -> None:
    lock = specs.root / "pipelines" / "teacher" / "dvc.lock"
    run, gone = "teacher__spring__s0", "teacher__spring__s7"
    here = [ENTRY.format(name=name) for name in ("spec", f"train@{run}", f"evaluate@{run}")]
    others = [ENTRY.format(name=name) for name in (f"train@{gone}", f"evaluate@{gone}", "look")]
    lock.write_text(LOCK.format(stages="".join([*here, *others])))
    assert specs.plan() == ["pipelines/teacher/dvc.lock: 3 stages that are no longer there removed"]
    assert lock.read_text() == LOCK.format(stages="".join(here))
    assert specs.plan() == []


@pytest.mark.parametrize("middle", ["", "||||||| 1234567\n  what both had\n"])
def test_a_merge_of_two_lock_files_keeps_the_entries_of_both(specs: Specs, middle: str) -> None:
    lock = specs.root / "pipelines" / "teacher" / "dvc.lock"
    spec, ours, theirs = (
        ENTRY.format(name=name) for name in ("spec", "train@teacher__spring__s0", "train@teacher__autumn__s0")
    )
    lock.write_text(LOCK.format(stages=f"{spec}<<<<<<< HEAD\n{ours}{middle}=======\n{theirs}>>>>>>> another branch\n"))
    assert specs.problems() == ["pipelines/teacher/dvc.lock:8: a merge left conflict markers; run: harness plan --add"]
    assert specs.plan() == ["pipelines/teacher/dvc.lock: conflict markers of a merge resolved"]
    assert read_yaml(lock)["stages"].keys() == {"spec", "train@teacher__spring__s0", "train@teacher__autumn__s0"}
    assert specs.problems() == []


def test_a_merge_within_one_entry_keeps_ours(specs: Specs) -> None:
    lock = specs.root / "pipelines" / "teacher" / "dvc.lock"
    entry = ENTRY.format(name="spec")
    other = "<<<<<<< HEAD\n      md5: 0123\n=======\n      md5: 4567\n>>>>>>> another branch\n"
    lock.write_text(LOCK.format(stages=entry.replace("      md5: 0123\n", other)))
    specs.plan()
    assert lock.read_text() == LOCK.format(stages=entry)


def test_what_a_broken_pipeline_planned_is_still_known(specs: Specs) -> None:
    path = specs.root / "pipelines" / "teacher" / "dvc.yaml"
    text = path.read_text()
    run, other = "      - teacher__spring__s0\n", "      - teacher__spring__s5\n"
    path.write_text(text.replace(run, f"<<<<<<< HEAD\n{run}=======\n{other}>>>>>>> another branch\n"))
    planned = specs.load().planned
    assert {"teacher__spring__s0", "teacher__spring__s5"} <= planned.keys()
    write_plan(specs.load(), planned.values())
    assert specs.problems() == []


@pytest.mark.parametrize("text", ["", "stages: 5\n", "[1, 2]\n", "{1: {}}\n", "\0\xff", "a: [\n"])
def test_whatever_stands_in_a_pipeline_planning_writes_it_anew(specs: Specs, text: str) -> None:
    path = specs.root / "pipelines" / "teacher" / "dvc.yaml"
    written = path.read_bytes()
    path.write_text(text)
    assert specs.problems() != []
    assert specs.plan() == ["pipelines/teacher/dvc.yaml: was edited by hand; written anew"]
    assert path.read_bytes() == written


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


def test_the_starter_plan_is_one_direction_and_one_seed() -> None:
    pairings = starter_pairings(shipped())
    registry = shipped()
    starters = {name for name, spec in registry.methods.items() if spec.starter}
    assert {pairing.method for pairing in pairings} >= starters
    tasks = {pairing.task for pairing in pairings if pairing.method in starters}
    targets = {name for name, spec in registry.datasets.items() if spec.starter}
    assert {task.split("-to-")[-1] for task in tasks} == targets
    assert {pairing.seed for pairing in pairings if pairing.method in starters} == {0}


def test_seeds_and_tasks_where_nobody_says_which() -> None:
    registry = shipped()
    planned: dict[tuple[str, str], set[int]] = {}
    for pairing in plan_pairings(registry):
        planned.setdefault((pairing.method, pairing.task), set()).add(pairing.seed)
    for (method, task), seeds in planned.items():
        role = registry.methods[method].role
        assert role == "init" or seeds == set(range(3 if role == "ablation" else 5)), (method, task)
        starts_others = any(name == method and role != "init" for name, _ in planned if seeds > set(range(5)))
        assert not starts_others
    for name, spec in registry.methods.items():
        tasks = {task for method, task in planned if method == name}
        if spec.role == "ablation" and "drawn" in spec.regimes:
            assert tasks in ({"drawn-summer"}, {"drawn-winter-to-drawn-summer"}), name


def test_ablations_that_are_named_run_wherever_they_fit() -> None:
    assert planned(shipped(), ["dkd-mpl-no-skd"], ["drawn-winter"])[-1].startswith("dkd-mpl-no-skd__drawn-winter__")
    tasks = {key.split("__")[1] for key in planned(shipped(), ["dkd-mpl-no-skd"]) if key.startswith("dkd-mpl-no-skd")}
    assert tasks == {"drawn-summer", "drawn-winter", "drawn-vehicles"}


def test_the_committed_plan_is_the_default_one() -> None:
    registry = Registry.load(PROJECT)
    default = [pairing for pairing in plan_pairings(registry) if registry.dataset(pairing.target).drawn]
    assert list(registry.planned.values()) == default
    texts = plan_texts(registry, default)
    assert {path: (PROJECT / path).read_text() for path in texts} == texts


def test_the_code_stage_depends_on_all_code_that_runs_share() -> None:
    assert read_yaml(PROJECT / "dvc.yaml")["stages"]["code"]["deps"] == [RESOLVING, *SHARED]


def test_the_root_pipeline_names_no_method_or_dataset_and_none_a_machine() -> None:
    text = (PROJECT / "dvc.yaml").read_text()
    names = [*shipped().methods, *shipped().datasets, "cuda"]
    assert [name for name in names if name in text] == []
    for path in [PROJECT / "dvc.yaml", *PROJECT.glob("pipelines/*/dvc.*")]:
        assert str(Path.home()) not in path.read_text()
