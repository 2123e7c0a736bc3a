"""The report of the drawn tasks: what it says of comparisons, in short and in full."""

import shutil
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.store import ingest
from harness.tables.report import write_report
from tests.data.official import PROJECT
from tests.store.factory import Project

SEEDS, TASKS = (0, 1, 2), ("drawn-summer", "drawn-winter")


@pytest.fixture
def drawn(tmp_path: Path) -> Project:
    """Two drawn datasets and three methods: `mine` is far above its base on one of them alone, `once` has one seed."""
    project = Project(tmp_path)
    for task in TASKS:
        shutil.copy(PROJECT / "datasets" / f"{task}.yaml", tmp_path / "datasets")
    project.method("base")
    project.method("mine", judged_against=["base"])
    project.method("once", judged_against=["base"])
    for task in TASKS:
        for seed in SEEDS:
            project.run(f"base__{task}__s{seed}", 0.5)
            project.run(f"mine__{task}__s{seed}", 0.7 if task == "drawn-summer" else 0.501, noise=10 + seed)
    project.run("once__drawn-winter__s0", 0.9)
    keys = [f"{method}__{task}__s{seed}" for method in ("base", "mine") for task in TASKS for seed in SEEDS]
    project.plan(*keys, "once__drawn-winter__s0")
    return project


def test_it_says_in_short_and_in_full_what_can_be_told(drawn: Project) -> None:
    ingest(drawn.root)
    path = write_report(drawn.root)
    said = path.read_text()
    assert path == drawn.root / "docs" / "results.md"
    short, winter, summer = (part.splitlines() for part in said.split("\n### ")[1:])
    assert "can be told apart after Holm. 1 say better, 0 say worse, 1 cannot tell the two apart." in short
    assert next(line for line in short if line.startswith("|")) == "| method | against | Drawn winter | Drawn summer |"
    mine, once = (line.split(" | ") for line in short if line.startswith(("| mine", "| once")))
    assert not mine[2].startswith("*")
    assert mine[3].startswith("**+2")  # some 22 points
    assert once[2].startswith("+4")  # far above, but one network
    assert once[3] == " |"
    assert [line.split(" | ")[6] for line in summer if line.startswith("| mine | base")] == ["better"]
    assert [line.split(" | ")[6] for line in winter if line.startswith("| mine | base")] == ["cannot be told apart"]


def test_without_results_it_says_what_to_do(drawn: Project) -> None:
    shutil.rmtree(drawn.root / "results" / "runs")
    ingest(drawn.root)
    with pytest.raises(UserError, match="run `make` first"):
        write_report(drawn.root)
