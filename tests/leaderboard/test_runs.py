"""Runs: a table with states, and the record of one of them."""

import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.fleet.documents import Fleet, Work
from harness.fleet.snapshot import Snapshot
from harness.paths import fleet_file, foreign_key
from harness.sharing.archive import export_runs, import_archive
from harness.specs import Registry
from harness.store import ingest
from tests.leaderboard.apps import opened, texts
from tests.store.factory import Project


def test_runs_show_what_other_machines_are_at_and_whose_a_result_is(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    at = datetime.now(UTC)
    work = Work(
        item="mmt__beta__s0", owner="o", host="node7", status="running", stage="train", epoch=3, epochs=9, left=600,
        every=30, began=at, updated=at,
    )  # fmt: skip
    head = Fleet(id="f", commit="c", owner="o", host="h", items=(work.item, "x"), began=at, updated=at, engine="ray")
    snapshot = Snapshot(fleet="f", written=at, heads=(head,), work=(work,))
    fleet_file(project.root).write_text(snapshot.model_dump_json())
    key = "cluster-contrast__beta__s0"
    archive = export_runs(Registry.load(project.root), [key], tmp_path / "x.tar", False, "vision-lab")
    import_archive(project.root, archive, "", False)
    ingest(project.root)
    app = opened(project.root, monkeypatch, "run", run=foreign_key(key, "vision-lab"))
    assert not app.exception
    assert next(expander.label for expander in app.expander) == "On other machines: 1 running, 1 waiting"
    assert "node7" in app.dataframe[0].value.to_string()
    assert "Computed by vision-lab; its scores were recomputed here from its ranked lists." in texts(app)
    assert "Reproduce it" not in texts(app)


def test_a_run_shows_its_record_and_its_command(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(project.root, monkeypatch, "run", run="supervised__beta__s2")
    record = dict(app.dataframe[1].value.to_numpy().tolist())
    assert record["seed"] == "2"
    assert record["version torch"] == "2.15.0"
    assert f"git checkout {'0' * 40}\nharness run supervised__beta__s2" in texts(app)
    assert re.search(r"# expected: mAP \d\d\.\d.*within the spread over seeds \(± \d\.\d\)", texts(app))
    assert "algorithm: methods.some:Some" in texts(app)


def test_a_failed_run_shows_its_reason_and_log(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(project.root, monkeypatch, "run", run="uda-baseline__alpha-to-beta__s0")
    assert app.error[0].value == "Train failed: nan\\: the loss is not a number"
    assert "epoch 3 loss nan" in texts(app)


def test_a_running_run_shows_its_progress(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(project.root, monkeypatch, "run", run="uda-baseline__alpha-to-beta__s1")
    (bar,) = app.get("progress")
    assert bar.proto.value == 50


@pytest.mark.parametrize("page", ["queries", "run"])
def test_a_run_may_be_deleted_while_its_page_is_open(
    pictured: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, page: str
) -> None:
    project = Project(shutil.copytree(pictured.root, tmp_path / "copy"))
    key = "supervised__beta__s0"
    app = opened(project.root, monkeypatch, page, run=key)
    assert not app.exception
    shutil.rmtree(project.root / "results" / "runs" / key)
    app.run()
    assert not app.exception
    assert page == "run" or f"`harness run {key}` computes them" in app.info[0].value
    shutil.rmtree(project.root / "data")
    app.query_params["run"] = "cc-twin__beta__s0"
    app.run()
    assert not app.exception
    assert page == "run" or "`harness data add beta PATH` imports them" in app.info[0].value


def test_a_run_whose_files_are_gone_is_still_told_of(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    ingest(project.root)
    key = "supervised__beta__s0"
    shutil.rmtree(project.root / "results" / "runs" / key)
    app = opened(project.root, monkeypatch, "queries", task="beta", run=key)
    assert not app.exception
    assert f"`harness run {key}` computes them" in app.info[0].value
    app = opened(project.root, monkeypatch, "run", run=key)
    assert not app.exception
    assert len(app.metric) == 6


def test_runs_are_a_table_with_states_and_filters(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(project.root, monkeypatch, "run")
    table = app.dataframe[0].value
    assert len(table) == 12
    assert table["state"].iloc[0] == "running"
    assert table["note"].iloc[0] == "train, epoch 3 of 6"
    app = opened(project.root, monkeypatch, "run", by="uda-baseline", state=["failed"])
    assert app.dataframe[0].value["note"].tolist() == ["nan: the loss is not a number"]
    app = opened(project.root, monkeypatch, "run", on="beta", group="methods")
    table = app.dataframe[0].value
    assert table["seeds"].tolist() == ["0, 1, 2"] * 3
    assert table["±"].notna().all()
