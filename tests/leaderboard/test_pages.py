"""The pages' logic, by Streamlit's own test runner; what a browser does is in test_browser.py."""

import json
import os
import re
import shutil
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import streamlit as st
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError
from streamlit.testing.v1 import AppTest

from harness.fleet.documents import Fleet, Work
from harness.fleet.snapshot import Snapshot
from harness.leaderboard import state
from harness.leaderboard.frame import PAGES
from harness.leaderboard.pages.methods import fields
from harness.paths import fleet_file, foreign_key
from harness.sharing.archive import export_runs, import_archive
from harness.specs import Registry
from harness.specs.compute import Compute
from harness.store import Store, database, ingest, publish, views
from harness.store.database import database_url
from harness.tables import addresses
from harness.tables.columns import BY_KEY
from harness.tables.table import leader_table, place, places
from harness.tables.text import bibtex, flat
from tests.store.factory import COMPUTE, Project, reseal

APP = Path(__file__).parents[2] / "app.py"


def opened(
    root: Path, monkeypatch: pytest.MonkeyPatch, page: str = "leaderboard", **params: str | list[str]
) -> AppTest:
    monkeypatch.chdir(root)
    app = AppTest.from_file(str(APP), default_timeout=60)
    for name, value in params.items():
        app.query_params[name] = value
    if page == "leaderboard":
        return app.run()
    app.run()
    app.query_params.clear()
    for name, value in params.items():
        app.query_params[name] = value
    return app.switch_page(f"harness/leaderboard/pages/{page}.py").run()


def texts(app: AppTest) -> str:
    parts = [*app.markdown, *app.caption, *app.info, *app.warning, *app.error, *app.subheader, *app.code]
    return "\n".join(str(part.value) for part in parts)


def test_a_variant_of_the_protocol_stands_apart(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.variant("cluster-contrast__beta__s0", "reid-v1+rerank", "supervised__beta__s0")
    ingest(project.root)
    plain = opened(project.root, monkeypatch, task="beta")
    assert not plain.exception
    assert "reid-v1+rerank" not in texts(plain)
    assert len(plain.dataframe[0].value) > 1
    asked = opened(project.root, monkeypatch, task="beta", protocol="reid-v1+rerank")
    assert not asked.exception
    assert not asked.warning
    assert len(asked.dataframe[0].value) == 1
    said = texts(asked).replace("\\", "")
    assert "protocol reid-v1+rerank, apart from the plain scores; transductive" in said


@pytest.mark.parametrize("page", PAGES)
def test_every_page_stands_in_an_empty_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str) -> None:
    for folder in ("datasets", "methods", "results"):
        (tmp_path / folder).mkdir()
    app = opened(tmp_path, monkeypatch, page)
    assert not app.exception
    assert len(app.info) == 1  # says what to do
    assert "`" in app.info[0].value


@pytest.mark.parametrize("page", PAGES)
def test_every_page_shows_a_filled_project(pictured: Project, monkeypatch: pytest.MonkeyPatch, page: str) -> None:
    app = opened(pictured.root, monkeypatch, page)
    assert not app.exception
    assert not app.error
    assert app.title[0].value == PAGES[page][0]


def test_a_fresh_clone_shows_reported_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project(tmp_path)
    project.dataset("market", regime="paper")
    quoted = {"target": "market", "map": 82.6, "quoted_from": "Table 3", "verified": True}
    project.method("cluster-contrast", reported=[quoted])
    app = opened(tmp_path, monkeypatch)
    grid = app.dataframe[0].value
    assert grid["reported"].tolist() == [82.6]
    assert grid["status"].tolist() == ["reported, not run here"]


def test_the_leaderboard_restores_a_permalink(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(project.root, monkeypatch, task="beta", setting="usl", metric="rank1", q="twin")
    assert app.dataframe[0].value["method"].tolist() == ["Cc Twin"]
    assert app.selectbox(key="metric").value == "rank1"
    assert app.query_params["setting"] == "usl"


def test_the_address_always_states_the_view(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(project.root, monkeypatch)
    assert app.query_params["task"] == "alpha-to-beta"
    assert app.query_params["setting"] == "all"
    app.selectbox(key="task").select("beta").run()
    assert app.query_params["task"] == "beta"
    assert app.dataframe[0].value["method"].tolist() == ["Supervised", "Cluster Contrast", "Cc Twin"]


def test_unknown_names_in_an_address_are_said_so(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(project.root, monkeypatch, task="*mars*", setting="nobody", rows=["method", "women"])
    assert not app.exception
    assert [warning.value for warning in app.warning] == [
        "The address asks for “\\*mars\\*”, which is not known here (task).",
        "The address asks for “nobody”, which is not known here (setting).",
        "The address asks for “women”, which is not known here (rows).",
    ]
    assert app.selectbox(key="task").value == "alpha-to-beta"


def test_ablations_can_be_left_out(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(project.root, monkeypatch, task="beta", rows=["method"])
    assert app.dataframe[0].value["method"].tolist() == ["Supervised", "Cluster Contrast"]


def test_a_search_without_result_says_what_to_do(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(project.root, monkeypatch, q="zebra")
    assert "Clear the search" in app.info[0].value


def test_rejected_results_are_listed(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    (project.root / "results" / "runs" / "supervised__beta__s0" / "record.json").write_text("{}")
    app = opened(project.root, monkeypatch)
    assert app.dataframe[1].value["path"].tolist() == ["results/runs/supervised__beta__s0"]


def test_every_empty_cell_of_the_matrix_says_why(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = [f"{method}__alpha__s0" for method in ("supervised", "cluster-contrast", "cc-twin")]
    project.plan(*waiting)
    project.attempt(waiting[1], "running")
    project.attempt(waiting[2], "failed")
    tasks, kinds = ["alpha", "beta", "market", "alpha-to-beta"], ["method", "ablation"]
    app = opened(project.root, monkeypatch, "matrix", setting="all", tasks=tasks, kinds=kinds)
    shown = app.dataframe[-1].value
    reasons = {(row.method, row.task): (row.state, row.reason) for row in shown.itertuples()}
    assert reasons["Supervised", "Alpha Street"] == ("queued", "planned, not started")
    assert reasons["Cluster Contrast", "Alpha Street"] == ("running", "train, epoch 3 of 6")
    assert reasons["Cc Twin", "Alpha Street"] == ("failed", "nan: the loss is not a number")
    assert ("Cluster Contrast", "Market-like") not in reasons  # it has a figure, and its cell says from where
    assert reasons["Supervised", "Market-like"][0] == "not planned"
    assert reasons["Direct Transfer", "Alpha Street"] == (
        "incompatible",
        "Direct Transfer is a direct method: it needs a labeled source",
    )
    assert shown["reason"].str.len().min() > 0
    app = opened(project.root, monkeypatch, "matrix", tasks=tasks, cell="cluster-contrast@market")
    assert "reported: quoted from Table 3; not run here" in texts(app)


def test_the_matrix_gives_every_reason(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(
        project.root,
        monkeypatch,
        "matrix",
        setting="usl",
        tasks=["beta", "alpha-to-beta", "market"],
        kinds=["method", "ablation", "quoted"],
    )
    reasons = app.dataframe[-1].value
    assert "Cc Twin is a USL method: it takes no source" in reasons["reason"].tolist()
    assert views.QUOTED in reasons["reason"].tolist()
    assert set(reasons["state"]) == {"incompatible", "not planned"}


def test_compare_tests_the_difference(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["supervised", "cluster-contrast", "cc-twin"]
    app = opened(project.root, monkeypatch, "compare", task="beta", of=names)
    assert not app.exception
    metrics = {metric.label: metric for metric in app.metric[:6]}
    assert list(metrics) == ["Cluster Contrast", "Supervised", "Δ mAP", "95 % interval", "p-value, Holm over 2",
                             "wins · ties · losses"]  # fmt: skip
    assert re.fullmatch(r"\d\d\.\d ± \d\.\d", metrics["Supervised"].value)
    assert re.fullmatch(r"−\d\d\.\d", metrics["Δ mAP"].value)
    assert metrics["p-value, Holm over 2"].value == "< 0.001"
    for said in ("Satterthwaite", "clustered by identity", "corrected after Holm", "docs/statistics.md"):
        assert said in metrics["p-value, Holm over 2"].help
    assert sum(map(int, metrics["wins · ties · losses"].value.split(" · "))) == 200
    assert "**Cluster Contrast is worse than Supervised**" in texts(app)
    differing = app.dataframe[-1].value
    assert differing["parameter"].tolist() == ["setting"]


def test_compare_says_what_it_would_take(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(project.root, monkeypatch, "compare", task="beta", of=["cluster-contrast", "cc-twin"])
    assert "cannot be told apart" in texts(app)
    assert re.search(r"with 5 seeds a difference of \d\.\d could be told", " ".join(c.value for c in app.caption))


def test_compare_gives_no_verdict_about_one_seed(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(project.root, monkeypatch, "compare", task="beta", of=["supervised", "cc-twin__beta__s1"])
    assert not app.exception
    assert "no verdict about methods" in texts(app)
    assert "these networks only" in " ".join(caption.value for caption in app.caption)
    assert not any(metric.label.startswith("p-value") for metric in app.metric)


def test_compare_needs_two(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(project.root, monkeypatch, "compare", task="beta", of=["supervised"])
    assert app.info[0].value.startswith("Choose at least two")


def test_compare_refuses_other_query_sets(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(3):
        project.run(f"supervised__beta__s{seed}", 0.8, queries=100)
    app = opened(project.root, monkeypatch, "compare", task="beta", of=["supervised", "cluster-contrast"])
    assert "different query sets" in app.error[0].value


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


def test_compare_says_what_is_only_published(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = ["supervised__beta__s0", "cc-twin__beta__s0"]
    project.plan(*keys)
    publish(project.root)
    shutil.rmtree(project.root / "results" / "runs" / keys[0])
    app = opened(project.root, monkeypatch, "compare", task="beta", of=["supervised", "cc-twin"])
    assert not app.exception
    assert "1 of these runs are published figures" in texts(app)


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


@pytest.mark.parametrize(
    ("venue", "entry"),
    [("ACCV", "@inproceedings"), ("IEEE Transactions on Multimedia", "@article"), ("Pattern Recognition", "@article")],
)
def test_an_article_is_cited_with_its_journal(venue: str, entry: str) -> None:
    cited = bibtex("x", {"title": "On Clusters", "authors": ["Ann Lee"], "venue": venue, "year": 2022})
    assert cited.startswith(f"{entry}{{lee2022,")
    assert f"  {'journal' if entry == '@article' else 'booktitle'} = {{{venue}}}" in cited


def test_a_method_shows_paper_bibtex_and_parameters(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    paper = {"title": "On Clusters", "authors": ["Ann Lee", "Bo Li"], "year": 2022, "venue": "ACCV",
             "fidelity": "reconstructed", "notes": "Batch size was guessed.",
             "choices": [{"what": "batch", "chosen": "64", "reason": "usual"}]}  # fmt: skip
    project.method("cluster-contrast", paper=paper)
    app = opened(project.root, monkeypatch, "methods", method="cluster-contrast")
    assert "@inproceedings{lee2022,\n  title = {{On Clusters}}" in texts(app)
    assert "**Reconstructed.** Batch size was guessed." in texts(app)
    parameters = app.dataframe[-1].value
    assert "compute.network.bn_groups" in parameters["parameter"].tolist()
    assert "params.temperature" in parameters["parameter"].tolist()


def test_a_withdrawn_dataset_says_so(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    access = {"homepage": "javascript:alert(1)", "license": "none", "withdrawn": "Taken down in 2019."}
    project.dataset("duke", access=access)
    app = opened(project.root, monkeypatch, "datasets", dataset="duke")
    assert app.warning[0].value == "**Withdrawn.** Taken down in 2019."
    assert not app.get("link_button")


def test_a_dataset_is_held_against_its_expected_counts(pictured: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(pictured.root, monkeypatch, "datasets", dataset="beta")
    counts = app.dataframe[0].value.set_index("split")
    assert counts["agrees"].tolist() == ["✓ yes", "✗ no", "✗ no"]
    assert counts.loc["query", "images, here"] == 200


def test_a_dataset_that_expects_no_counts_is_shown_without(
    pictured: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(pictured.root, tmp_path / "project"))
    spec = root / "datasets" / "beta.yaml"
    document = json.loads(spec.read_text())
    del document["expect"]
    spec.write_text(json.dumps(document))
    ingest(root)
    app = opened(root, monkeypatch, "datasets", dataset="beta")
    counts = app.dataframe[0].value.set_index("split")
    assert counts.loc["query", "images, here"] == 200
    assert not [name for name in counts if "expected" in name or name == "agrees"]


@pytest.mark.parametrize("damage", ["info", "no counts", "manifest", "pixels", "pipe", "gone"])
def test_a_dataset_that_is_damaged_is_said_so(
    pictured: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, damage: str
) -> None:
    root = Path(shutil.copytree(pictured.root, tmp_path / "project"))
    folder = root / "data" / "prepared" / "beta"
    match damage:
        case "info":
            (folder / "info.json").write_text('{"format": 1, "files": 5')
        case "no counts":
            (folder / "info.json").write_text('{"format": 1, "splits": []}')
        case "manifest":
            (folder / "manifest.parquet").write_bytes(b"PAR1")
        case "pixels":
            (folder / "query.npy").write_bytes(b"\x93NUMPY")
        case "pipe":
            (folder / "info.json").unlink()
            os.mkfifo(folder / "info.json")
        case "gone":
            (folder / "query.npy").unlink()
    assert not opened(root, monkeypatch, "queries").exception
    app = opened(root, monkeypatch, "datasets", dataset="beta")
    assert not app.exception
    assert "beta" in texts(app).lower()


def test_a_corrupt_database_is_said_so(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(database_url(project.root)).write_bytes(b"nothing of the kind" * 500)
    app = opened(project.root, monkeypatch)
    assert "nothing is lost" in app.error[0].value
    assert not app.exception


def test_a_database_is_built_on_the_first_visit_and_one_of_another_schema_rebuilt(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = Path(database_url(project.root))
    assert not url.exists()
    assert len(opened(project.root, monkeypatch, task="beta").dataframe[0].value) == 3
    with create_engine(f"sqlite:///{url}").begin() as connection:
        connection.execute(text("UPDATE meta SET value = '1' WHERE name = 'schema'"))
        connection.execute(text("DROP TABLE entry"))
    st.cache_resource.clear()
    app = opened(project.root, monkeypatch, task="beta")
    assert not app.error
    assert len(app.dataframe[0].value) == 3


def test_a_database_that_another_process_locks_is_said_so(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    ingest(project.root)
    monkeypatch.setattr(database, "BUSY_SECONDS", 0)
    other = sqlite3.connect(database_url(project.root), isolation_level=None)
    other.execute("PRAGMA journal_mode=DELETE")
    other.execute("BEGIN EXCLUSIVE")
    app = opened(project.root, monkeypatch)
    assert "locked by another process" in app.error[0].value
    other.execute("ROLLBACK")
    assert not app.run().error


def test_the_app_opens_the_database_only_for_reading(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    ingest(project.root)
    monkeypatch.chdir(project.root)
    opened_store = state.store()
    with opened_store.engine.connect() as connection, pytest.raises(OperationalError, match="readonly"):
        connection.execute(text("DELETE FROM run"))


def test_a_page_outlives_a_result_that_is_written_while_it_is_read(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(project.root)
    monkeypatch.setattr(database, "BUSY_SECONDS", 0)
    other = sqlite3.connect(database_url(project.root), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.execute("DELETE FROM entry")
    app = opened(project.root, monkeypatch, task="beta")
    assert not app.exception
    assert not app.error
    assert len(app.dataframe[0].value) == 3  # the state before
    project.method("newcomer")
    project.run("newcomer__beta__s0", 0.9)
    (button,) = [button for button in app.run().button if "new result" in button.label]
    button.click().run()
    assert "locked by another process" in app.error[0].value
    other.execute("ROLLBACK")
    (button,) = [button for button in app.run().button if "new result" in button.label]
    button.click().run()
    assert "Newcomer" in app.dataframe[0].value["method"].tolist()


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


@pytest.mark.parametrize(
    ("page", "param"),
    [("matrix", "metric"), ("compare", "of"), ("queries", "run"), ("run", "run"), ("methods", "method"),
     ("datasets", "dataset")],
)  # fmt: skip
def test_every_page_says_which_name_it_does_not_know(
    project: Project, monkeypatch: pytest.MonkeyPatch, page: str, param: str
) -> None:
    app = opened(project.root, monkeypatch, page, **{param: "../../etc"})
    assert not app.exception
    assert "The address asks for “../../etc”, which is not known here" in app.warning[0].value


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


def test_columns_are_chosen_in_the_address(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(project.root, monkeypatch, task="beta", columns=["map", "tie"])
    assert app.dataframe[0].value.columns.tolist() == ["method", "map", "tie"]


def test_the_plot_is_drawn_when_its_tab_is_open(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not opened(project.root, monkeypatch, task="beta").get("vega_lite_chart")
    app = opened(project.root, monkeypatch, task="beta", view="Score against cost")
    assert len(app.get("vega_lite_chart")) == 1
    assert app.query_params["view"] == "Score against cost"


def test_a_rebuilt_database_is_seen_at_once(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(project.root, monkeypatch, task="beta")
    Path(database_url(project.root)).unlink()
    project.method("newcomer")
    project.run("newcomer__beta__s0", 0.9)
    ingest(project.root)
    assert "Newcomer" in app.run().dataframe[0].value["method"].tolist()


def test_a_foreign_parameter_is_warned_about(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(project.root, monkeypatch, "compare", task="beta", method=["cc-twin", "supervised"])
    assert not app.exception
    assert "a parameter “method”, which this page does not know" in app.warning[0].value
    assert "method" not in app.query_params


@pytest.mark.parametrize("view", list(addresses.VIEWS.values()), ids=list(addresses.VIEWS))
def test_every_parameter_of_an_address_is_read_by_its_page(
    pictured: Project, monkeypatch: pytest.MonkeyPatch, view: type[addresses.View]
) -> None:
    filled = {"task": "beta", "of": ("supervised", "cc-twin"), "query": "7", "run": "supervised__beta__s0", "q": "",
              "method": "cc-twin" if view is addresses.Methods else "", "dataset": "beta"}  # fmt: skip
    known = {name: value for name, value in filled.items() if name in addresses.known(view.page)}
    app = opened(pictured.root, monkeypatch, view.page, **addresses.parameters(view(**known)))  # type: ignore[arg-type]
    assert not app.exception
    assert not app.warning
    assert set(app.query_params) <= addresses.known(view.page)


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


def test_new_results_are_taken_in_from_the_page(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    ingest(project.root)
    project.method("newcomer")
    project.run("newcomer__beta__s0", 0.9)
    app = opened(project.root, monkeypatch, task="beta")
    (button,) = [button for button in app.button if "new result" in button.label]
    assert button.label == "1 new result: take it in"
    button.click().run()
    assert "Newcomer" in app.dataframe[0].value["method"].tolist()
    assert not [button for button in app.button if "new result" in button.label]


def test_bounds_and_searches_make_nothing_best(project: Project, store: Store) -> None:
    rows = views.leaderboard(store, "beta")
    marks = {row.method: place(places(rows, [BY_KEY["map"]]), row, BY_KEY["map"]) for row in rows}
    assert marks == {"supervised": 0, "cluster-contrast": 1, "cc-twin": 2} or marks["supervised"] == 0
    alone = leader_table("", [row for row in rows if row.method == "cc-twin"], [BY_KEY["map"]], among=rows)
    assert alone.rows[0][0].place == marks["cc-twin"]


def test_a_filter_that_was_left_alone_follows_the_view(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("cluster-contrast__beta__s0", "direct-transfer__alpha-to-beta__s0", "supervised__beta__s0"):
        folder = project.root / "results" / "runs" / key
        record = json.loads((folder / "record.json").read_text())
        (folder / "record.json").write_text(json.dumps(record | {"init": [f"start-of-{key.split('__')[0]}"]}))
        reseal(folder)
    app = opened(project.root, monkeypatch, task="alpha-to-beta", setting="usl")
    assert "Cluster Contrast" in app.dataframe[0].value["method"].tolist()
    app.button_group(key="setting").set_value("direct").run()
    assert app.dataframe[0].value["method"].tolist() == ["Direct Transfer"]
    app.button_group(key="setting").set_value("all").run()
    assert {"Cluster Contrast", "Supervised", "Direct Transfer"} <= set(app.dataframe[0].value["method"])
    assert "pretraining" not in app.query_params


def test_ticked_rows_are_in_the_address(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(project.root, monkeypatch, task="beta", ticked=["cc-twin", "cluster-contrast"])
    assert not app.exception
    assert "Runs of Cc Twin" in [link.proto.label for link in app.get("page_link")]
    assert set(app.query_params["ticked"]) == {"cc-twin", "cluster-contrast"}
    app.selectbox(key="task").select("alpha-to-beta").run()
    assert "ticked" not in app.query_params  # they were rows of another table


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


def test_every_parameter_says_what_it_means() -> None:
    described = fields(Compute, COMPUTE)
    assert all(described[name] for name in flat(COMPUTE))
    assert described["network.backbone.kind"] != described["network.backbone"]


TITLE = f"{'Very ' * 39}long."


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A thousand quoted methods, two of each title, and one of a title of 200 letters."""
    project = Project(tmp_path_factory.mktemp("crowded"))
    project.dataset("market", regime="paper", title="M" * 200)
    figure = {"target": "market", "quoted_from": "Table 3", "verified": True}
    project.method("first", title=TITLE, reported=[figure | {"map": 99}])
    project.quoted(
        *({"name": f"m{i}", "title": f"Method {i % 500}", "setting": "usl", "reported": [figure | {"map": i / 20}]}
          for i in range(1000))
    )  # fmt: skip
    ingest(project.root)
    return project


@pytest.mark.parametrize("page", ["leaderboard", "matrix", "methods"])
def test_a_thousand_methods_and_a_title_of_200_letters(
    crowded: Project, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    assert len(TITLE) == 200
    kinds = {"kinds": ["method", "quoted"]} if page == "matrix" else {}
    app = opened(crowded.root, monkeypatch, page, **kinds)  # type: ignore[arg-type]
    assert not app.exception
    assert not app.warning
    if page != "methods":
        table = app.dataframe[0].value
        assert len(table) == 1001
        assert TITLE in table["method"].tolist()
    if page == "matrix":
        assert table["method"].is_unique  # those of one title have their names behind it
