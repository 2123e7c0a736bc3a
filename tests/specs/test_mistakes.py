"""A mistake in a spec is said once, with file, line and the nearest valid name, and nothing else is complained of."""

import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from harness.errors import UserError
from harness.specs import Pairing, load_dataset, load_method
from tests.specs.conftest import Specs

METHOD, TEACHER, DATASET = "methods/clusters.yaml", "methods/teacher.yaml", "datasets/spring.yaml"
REPORTED = """\
methods:
  - name: other
    title: Other
    setting: usl
    reported:
      - {target: spring, map: 101, quoted_from: a page, verified: true}
"""
PUPIL = """\
name: pupil
title: Pupil
description: A supervised method with one thing changed.
extends: teacher
role: ablation
starter: false
judged_against: [teacher]
params: {label_smoothing: 0}
"""
MISTAKES = YAML(typ="safe").load(Path(__file__).with_name("mistakes.yaml"))


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_said_with_its_line_and_what_was_meant(specs: Specs, mistake: str) -> None:
    made = MISTAKES[mistake]
    specs.edit(made["file"], made["replace"], made["by"])
    assert specs.problems() == [f"{made['file']}:{line}" for line in made["says"]]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("(?P<id>-1", "(?P<id-1", "is not a regular expression: bad character in group name"),
        ("?P<camera>", "?P<cam>", "unknown group 'cam'; valid: camera, frame, id"),
        ("{height: 32, width: 16}\ndrawn", "32x16\ndrawn", "image: Input should be a valid dictionary"),
    ],
)
def test_a_layout_that_cannot_be(specs: Specs, old: str, new: str, said: str) -> None:
    specs.edit(DATASET, old, new)
    (problem,) = specs.problems()
    assert problem.startswith(f"{DATASET}:{specs.line(DATASET, new.split()[0])}: ")
    assert said in problem


def test_two_specs_of_one_name(specs: Specs) -> None:
    specs.write("methods/twin.yaml", (specs.root / METHOD).read_text())
    assert specs.problems() == ["methods/twin.yaml:1: name: 'clusters' is already the name of methods/clusters.yaml"]


def test_specs_that_extend_one_another(specs: Specs) -> None:
    specs.write("methods/hen.yaml", "name: hen\nextends: egg\n")
    specs.write("methods/egg.yaml", "name: egg\nextends: hen\n")
    assert specs.problems() == [
        "methods/egg.yaml:2: extends: goes round in a circle: egg -> hen -> egg",
        "methods/hen.yaml:2: extends: goes round in a circle: hen -> egg -> hen",
    ]


def test_a_mistake_in_what_a_spec_extends_is_said_once_and_where_it_stands(specs: Specs) -> None:
    specs.write("methods/pupil.yaml", PUPIL)
    specs.plan()
    assert specs.problems() == []
    specs.edit(TEACHER, "epochs: 2", "epochs: -2")
    (problem,) = specs.problems()
    assert problem.startswith(f"{TEACHER}:{specs.line(TEACHER, 'epochs: -2')}: regimes.drawn.compute.epochs: ")


def test_what_a_spec_does_not_inherit_is_missed_in_the_spec_itself(specs: Specs) -> None:
    specs.write("methods/pupil.yaml", PUPIL.replace("role: ablation\n", ""))
    assert specs.problems() == ["methods/pupil.yaml:1: role: required, but not stated"]


def test_a_planned_run_that_cannot_be_any_more(specs: Specs) -> None:
    specs.edit("methods/moved.yaml", "setting: direct", "setting: supervised")
    specs.edit("methods/moved.yaml", "seed_offsets: [0]}", "dataset: autumn, seeds: [0]}")
    why = "moved is a 'supervised' method: it takes no source"
    assert specs.problems() == [
        f"pipelines/moved/dvc.yaml: moved__{task}__s0 cannot run any more: {why}; run: harness plan"
        for task in ("autumn-to-spring", "spring-to-autumn")
    ]


def test_a_planned_method_that_is_gone(specs: Specs) -> None:
    (specs.root / "methods" / "clusters.yaml").unlink()
    assert "pipelines/clusters: its method is gone; run: harness plan" in specs.problems()
    specs.plan()
    assert specs.problems() == []
    assert not (specs.root / "pipelines" / "clusters").exists()


def test_a_plan_that_the_specs_have_left_behind(specs: Specs) -> None:
    specs.edit(METHOD, "dataset: autumn, seeds: [0]", "dataset: autumn, seeds: [1]")
    said = "pipelines/clusters/dvc.yaml: does not fit the specs any more; run: harness plan --add"
    assert specs.problems() == [said]
    specs.plan()
    assert specs.problems() == []


def test_a_pipeline_edited_by_hand(specs: Specs) -> None:
    specs.edit("pipelines/clusters/dvc.yaml", "harness train ${key}", "harness train ${key} --fast")
    said = "pipelines/clusters/dvc.yaml: was edited by hand; run: harness plan --add"
    assert specs.problems() == [said]
    assert specs.plan() == ["pipelines/clusters/dvc.yaml: was edited by hand; written anew"]
    assert specs.problems() == []


def test_a_project_without_a_plan(specs: Specs) -> None:
    shutil.rmtree(specs.root / "pipelines")
    assert specs.problems() == ["nothing is planned; run: harness plan"]


def test_a_usl_method_that_starts_from_a_source(specs: Specs) -> None:
    specs.edit(METHOD, "dataset: autumn, seeds: [0]", "seeds: [0]")
    (problem, _) = specs.problems()
    assert problem == "clusters__autumn__s0: init starts from 'teacher' on the source, but there is no source"


def test_a_regime_that_the_method_lacks(specs: Specs) -> None:
    specs.edit(TEACHER, "  drawn:", "  paper:")
    with pytest.raises(UserError, match="teacher has no 'drawn' regime, which spring needs"):
        specs.load().resolved(Pairing("teacher", None, "spring", 0))


def test_persons_do_not_become_vehicles(specs: Specs) -> None:
    text = (specs.root / DATASET).read_text()
    specs.write(
        "datasets/traffic.yaml",
        text.replace("name: spring", "name: traffic").replace("kind: person\nreg", "kind: vehicle\nreg"),
    )
    reason = specs.load().incompatible("moved", "spring", "traffic")
    assert reason == "spring is of kind person, traffic of kind vehicle"


def test_an_algorithm_with_a_syntax_error(specs: Specs, monkeypatch: pytest.MonkeyPatch) -> None:
    specs.write("unwell.py", "class Unwell:\n    def build(self:\n")
    monkeypatch.syspath_prepend(specs.root)
    specs.edit(METHOD, "methods.cluster_contrast:ClusterContrast", "unwell:Unwell")
    (problem,) = specs.problems()
    assert (
        problem
        == f"{METHOD}:8: algorithm: 'unwell:Unwell' cannot be imported: '(' was never closed (unwell.py, line 2)"
    )


def test_names_are_looked_up_with_their_nearest_neighbour(specs: Specs) -> None:
    with pytest.raises(UserError, match=r"no method is called 'teach'; did you mean 'teacher'\?"):
        load_method("teach", specs.root)
    with pytest.raises(UserError, match="no dataset is called 'zebra'; valid: autumn, spring"):
        load_dataset("zebra", specs.root)
    with pytest.raises(UserError, match=r"nothing\.yaml: no such file"):
        load_method(specs.root / "methods" / "nothing.yaml")


def test_a_broken_spec_that_is_asked_for_says_what_is_broken(specs: Specs) -> None:
    specs.edit(METHOD, "epochs: 2", "epochs: two")
    with pytest.raises(UserError, match=r"clusters\.yaml:21: regimes.drawn.compute.epochs"):
        load_method("clusters", specs.root)
    assert load_method("teacher", specs.root).name == "teacher"


def test_reported_figures_are_checked_like_specs(specs: Specs) -> None:
    specs.write("reported.yaml", REPORTED)
    (problem,) = specs.problems()
    assert problem == "reported.yaml:6: methods.0.reported.0.map: Input should be less than or equal to 100 (found 101)"
