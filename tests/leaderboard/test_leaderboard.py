"""The leaderboard's page: views, filters, columns and ticks in the address, what is best and what is left out."""

import json
from pathlib import Path

import pytest

from harness.store import Store, ingest, views
from harness.tables.columns import BY_KEY
from harness.tables.table import leader_table, place, places
from tests.leaderboard.apps import opened, texts
from tests.store.factory import Project, reseal


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


def test_columns_are_chosen_in_the_address(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(project.root, monkeypatch, task="beta", columns=["map", "tie"])
    assert app.dataframe[0].value.columns.tolist() == ["method", "map", "tie"]


def test_the_plot_is_drawn_when_its_tab_is_open(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not opened(project.root, monkeypatch, task="beta").get("vega_lite_chart")
    app = opened(project.root, monkeypatch, task="beta", view="Score against cost")
    assert len(app.get("vega_lite_chart")) == 1
    assert app.query_params["view"] == "Score against cost"


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
