"""DVC runs what an edit can have changed, and nothing else. Every test leaves the project reproduced."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.pipeline.versioned import Versioned, stages, versioned_project

CLUSTERS, COLOURS = "cluster-contrast__drawn-summer__s0", "colour-histogram__drawn-summer__s0"
KEYS = (CLUSTERS, COLOURS)
SPEC = "methods/cluster-contrast.yaml"

ROOT = ("datasets", "draw@drawn-summer", "prepare@drawn-summer", "code", "leaderboard")


def stage(key: str, name: str) -> str:
    """The address of a stage of a run."""
    return f"pipelines/{key.split('__')[0]}/dvc.yaml:{name}"


RUN_OF_CLUSTERS, RUN_OF_COLOURS = (
    [stage(key, "spec"), stage(key, f"train@{key}"), stage(key, f"evaluate@{key}")] for key in KEYS
)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Versioned, str]:
    """The project after its first `dvc repro`, and what that said."""
    project = versioned_project(tmp_path_factory.mktemp("versioned") / "project")
    output = project.run("dvc", "repro")
    project.run("git", "add", ".")
    project.run("git", "commit", "-q", "-m", "Its first results")
    return project, output


@pytest.fixture
def project(first: tuple[Versioned, str]) -> Versioned:
    return first[0]


def statuses(project: Versioned) -> dict[str, tuple[str, str]]:
    """What `harness list runs` says of every run: its status, and why."""
    rows = json.loads(project.run("harness", "list", "runs", "--json"))
    return {row["key"]: (row["status"], row["reason"]) for row in rows}


def test_everything_runs_in_order(first: tuple[Versioned, str]) -> None:
    project, output = first
    ran = stages(output)
    assert sorted(ran) == sorted([*ROOT, *RUN_OF_CLUSTERS, *RUN_OF_COLOURS])
    assert ran[-1] == "leaderboard"
    assert statuses(project) == dict.fromkeys(KEYS, ("finished", ""))
    assert (project.root / "results" / "leaderboard.csv").read_text().count("drawn-summer") >= 2


def test_nothing_runs_twice(project: Versioned) -> None:
    assert stages(project.run("dvc", "repro")) == []


def test_harness_run_has_nothing_to_do_either(project: Versioned) -> None:
    assert project.run("harness", "run") == "11 stages of 2 runs: 11 unchanged\n"
    assert project.run("harness", "run", "colour*", "--jobs", "2") == "7 stages of 1 run: 7 unchanged\n"


def test_what_changes_no_number_trains_nothing(project: Versioned) -> None:
    project.edit(SPEC, "title: Cluster Contrast", "title: Clusters, contrasted")
    project.edit(SPEC, "venue: ACCV", "venue: Asian Conference on Computer Vision")
    project.append(SPEC, "reported:\n- {target: drawn-summer, map: 50, quoted_from: nowhere, verified: false}\n")
    for file in ("app.py", "harness/cli.py", "harness/store/views.py", "harness/leaderboard/pages/leaderboard.py"):
        project.append(file, "\n# Changed.\n")
    assert stages(project.run("dvc", "repro")) == [RUN_OF_CLUSTERS[0]]


@pytest.mark.parametrize(
    ("file", "runs"),
    [
        ("harness/learning/losses.py", {CLUSTERS}),
        ("harness/labels/distances/jaccard.py", {CLUSTERS}),
        ("harness/labels/distances/cosine.py", set()),
        ("harness/matrix.py", set(KEYS)),
    ],
)
def test_code_that_can_change_a_number_is_a_dependency_of_the_runs_that_use_it(
    project: Versioned, file: str, runs: set[str]
) -> None:
    before = (project.root / file).read_bytes()
    project.append(file, "\n# Changed.\n")
    specs = [stage(key, "spec") for key in KEYS]
    project.run("dvc", "repro", *specs)
    changed = json.loads(project.run("dvc", "status", "--json"))
    assert {name for name in changed if "train@" in name} == {stage(key, f"train@{key}") for key in runs}
    (project.root / file).write_bytes(before)
    project.run("dvc", "repro", *specs)
    assert json.loads(project.run("dvc", "status", "--json")) == {}


def test_an_experiment_with_one_value_runs_that_method_alone(project: Versioned) -> None:
    output = project.run(
        "dvc", "exp", "run", "-S", f"{SPEC}:regimes.drawn.params.temperature=0.07", RUN_OF_CLUSTERS[-1]
    )
    assert stages(output) == RUN_OF_CLUSTERS
    record = json.loads((project.root / "results" / "runs" / CLUSTERS / "record.json").read_text())
    assert record["spec"]["params"]["temperature"] == 0.07


def test_a_run_that_fails_keeps_no_other_from_running(project: Versioned) -> None:
    project.append("methods/colour_histogram.py", "\n# The method's own code has changed.\n")
    rate = "learning_rate: 0.0008"
    project.edit(SPEC, rate, "learning_rate: 1.0e+30")
    failed = project.attempt("harness", "run")
    assert failed.returncode == 1
    assert failed.stdout.startswith("11 stages of 2 runs: 4 done, 4 unchanged, 1 failed, 2 skipped")
    assert f"error: 1 stage failed\n{RUN_OF_CLUSTERS[1]}: " in failed.stderr
    assert "loss 'total' is nan" in failed.stderr
    assert f"{RUN_OF_CLUSTERS[2]}: skipped, it needs {RUN_OF_CLUSTERS[1]}" in failed.stderr
    assert "Traceback" not in failed.stdout + failed.stderr
    now = statuses(project)
    assert now[COLOURS] == ("finished", "")
    status, reason = now[CLUSTERS]
    assert status == "failed"
    assert reason.startswith("nan: epoch 1, iteration 2: loss 'total' is nan")
    assert not (project.root / "results" / "runs" / CLUSTERS / "checkpoint.safetensors").exists()

    project.edit(SPEC, "learning_rate: 1.0e+30", rate)
    assert stages(project.run("dvc", "repro")) == ["leaderboard"]  # the rest comes from DVC's cache of runs


def test_an_interrupted_run_says_one_line_and_goes_on(project: Versioned) -> None:
    project.edit(SPEC, "learning_rate: 0.0008", "learning_rate: 0.0007")
    with project.begin("harness", "run", CLUSTERS) as running:
        assert running.stderr
        for line in running.stderr:
            if "epoch 1/2" in line:
                running.send_signal(signal.SIGINT)
                break
        said = [line for line in running.stderr if not line.startswith(CLUSTERS)]
        assert running.wait() == 130
    assert said == ["interrupted; run the same command again to continue\n"]
    project.run("harness", "run", CLUSTERS)
    assert statuses(project)[CLUSTERS] == ("finished", "")

    project.edit(SPEC, "learning_rate: 0.0007", "learning_rate: 0.0008")
    assert "from DVC's cache" in project.run("harness", "run")


def test_metrics_and_plots_are_shown_without_a_network(project: Versioned) -> None:
    metrics = json.loads(project.run("dvc", "metrics", "show", "--json"))[""]["data"]
    assert {Path(file).parent.name for file in metrics} == set(KEYS)
    assert all(0 < file["data"]["map"] <= 100 for file in metrics.values())
    history = f"results/runs/{CLUSTERS}/history.csv"
    (curve,) = json.loads(project.run("dvc", "plots", "show", "--json", history))["data"][history]
    assert [int(point["epoch"]) for point in curve["content"]["data"]["values"]] == [1, 2]
