"""Queries: the worst first, their images and lists, wherever those come from."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.store import ingest, publish
from tests.leaderboard.apps import opened, texts
from tests.store.factory import Project, reseal


def test_queries_come_worst_first_and_the_address_restores_one(
    pictured: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "supervised__beta__s0"
    app = opened(pictured.root, monkeypatch, "queries", task="beta", run=key, beside="cc-twin__beta__s0", query="7")
    assert not app.exception
    listed = app.dataframe[0].value
    assert listed["AP"].is_monotonic_increasing
    assert "query 7 · AP" in texts(app)
    assert len(app.get("image")) >= 22


def test_images_of_other_data_are_not_shown(pictured: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    project = Project(shutil.copytree(pictured.root, tmp_path / "copy"))
    project.run("supervised__beta__s0", 0.8)  # records the hash "dddd…"
    ingest(project.root)
    app = opened(project.root, monkeypatch, "queries", task="beta", run="supervised__beta__s0")
    assert "another version of the dataset" in app.warning[0].value


def test_absent_images_say_how_to_get_them(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(project.root, monkeypatch, "queries", task="beta")
    assert "`harness data add beta PATH` imports them, `dvc repro prepare@beta` prepares them" in app.info[0].value


def test_a_fresh_clone_shows_published_ranked_lists(
    pictured: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    project = Project(
        shutil.copytree(pictured.root, tmp_path / "copy", ignore=shutil.ignore_patterns("leaderboard.db*"))
    )
    project.plan("supervised__beta__s0", "cc-twin__beta__s0")
    publish(project.root)
    shutil.rmtree(project.root / "results" / "runs")
    app = opened(project.root, monkeypatch, "queries")
    assert not app.exception
    assert app.query_params["run"] == "supervised__beta__s0"  # an ablation is no headline: it has no lists
    assert len(app.get("image")) >= 11
    app = opened(project.root, monkeypatch, "queries", task="beta", run="cc-twin__beta__s0")
    assert "`harness run cc-twin__beta__s0` computes them" in app.info[0].value
    assert "dvc pull" not in app.info[0].value  # no remote is configured
    app = opened(project.root, monkeypatch, "run", run="supervised__beta__s0")
    assert [info.value[:15] for info in app.info if info.value.startswith("Published")] == ["Published on 20"]


def test_no_path_or_index_of_a_result_reaches_a_file(
    pictured: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    project = Project(shutil.copytree(pictured.root, tmp_path / "copy"))
    ingest(project.root)  # altered afterwards: ingestion itself would reject it
    path = project.root / "results" / "runs" / "supervised__beta__s0" / "queries.parquet"
    table = pq.read_table(path)
    evil = pa.array(["../../../../etc/passwd"] * len(table))
    outside = pa.array([[10**6, -1, 3]] * len(table), pa.list_(pa.int32()))
    wrong = pa.array([[False] * 3] * len(table), pa.list_(pa.bool_()))
    for name, column in (("path", evil), ("gallery", outside), ("correct", wrong)):
        table = table.set_column(table.column_names.index(name), name, column)
    pq.write_table(table, path)
    app = opened(project.root, monkeypatch, "queries", task="beta", run="supervised__beta__s0")
    assert "queries.parquet is damaged" in app.info[0].value
    reseal(path.parent)  # as a program does that writes wrong files
    app = opened(project.root, monkeypatch, "queries", task="beta", run="supervised__beta__s0")
    assert not app.exception
    assert app.dataframe[0].value["image"].unique().tolist() == ["../../../../etc/passwd"]
    junk = len(app.expander[0].get("image"))
    assert len(app.get("image")) - junk == 2  # the query, and the one index that lies within the gallery


def test_queries_are_filtered_by_how_sure_the_first_match_was(
    pictured: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    project = Project(shutil.copytree(pictured.root, tmp_path / "copy"))
    path = project.root / "results" / "runs" / "supervised__beta__s0" / "queries.parquet"
    table = pq.read_table(path)
    cosines = pa.array([[0.2 + i / 250, 0.1] for i in range(len(table))], pa.list_(pa.float32()))
    pq.write_table(table.append_column("similarity", cosines), path)
    reseal(path.parent)
    app = opened(project.root, monkeypatch, "queries", run="supervised__beta__s0", similarity="0.50..0.70")
    assert not app.exception
    shown = app.dataframe[0].value["similarity"]
    assert (shown.min(), shown.max()) == pytest.approx((0.5, 0.7))
    assert app.query_params["similarity"] == ["0.50..0.70"] or app.query_params["similarity"] == "0.50..0.70"
    app = opened(project.root, monkeypatch, "queries", run="supervised__beta__s0", similarity="much")
    assert "asks for “much”, which is not known here" in app.warning[0].value
    assert len(app.dataframe[0].value) == 200
    assert "similarity" not in app.query_params
