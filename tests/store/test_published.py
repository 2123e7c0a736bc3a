import json
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UserError
from harness.inputs.json import seal
from harness.specs import Registry
from harness.store import ingest, open_store, publish, views
from harness.store.compare import compare, contestant
from harness.store.database import database_url
from harness.store.lists import read_lists
from harness.store.published import STEPS, published_path, quantized, read_published
from tests.store.factory import Project

PLAN = [f"{method}__beta__s{seed}" for method in ("cluster-contrast", "supervised") for seed in (0, 1, 2)]


def test_a_fresh_clone_shows_what_was_published(project: Project) -> None:
    project.plan(*PLAN)
    ingest(project.root)
    here = open_store(database_url(project.root), read_only=True)
    before = {row.method: row for row in views.leaderboard(here, "beta")}
    comparison = compare(contestant(here, "beta", "supervised"), [contestant(here, "beta", "cluster-contrast")])
    assert publish(project.root) == 6
    shutil.rmtree(project.root / "results" / "runs")
    report = ingest(project.root)
    assert sorted(report.updated) == sorted(PLAN)
    store = open_store(database_url(project.root), read_only=True)
    snapshot = views.snapshot(store)
    assert snapshot.published_runs == snapshot.runs == 6
    for row in views.leaderboard(store, "beta"):
        assert row.published
        assert row.scores == before[row.method].scores
    again = compare(contestant(store, "beta", "supervised"), [contestant(store, "beta", "cluster-contrast")])
    assert again[0].result.difference == pytest.approx(comparison[0].result.difference, abs=0.001)
    assert again[0].result.identities == comparison[0].result.identities == 10
    assert again[0].result.p_value == pytest.approx(comparison[0].result.p_value, rel=0.01)


def test_a_local_run_takes_the_place_of_the_published_one(project: Project) -> None:
    project.plan(*PLAN)
    publish(project.root)
    shutil.rmtree(project.root / "results" / "runs")
    project.run(PLAN[0], 0.7)
    ingest(project.root)
    store = open_store(database_url(project.root), read_only=True)
    assert {run.key for run in views.runs(store) if not run.published} == {PLAN[0]}


def test_half_a_plan_is_only_published_on_request(project: Project) -> None:
    project.plan(*PLAN)
    shutil.rmtree(project.root / "results" / "runs" / PLAN[1])
    with pytest.raises(UserError, match=f"1 planned runs are missing:\n  {PLAN[1]}: not finished"):
        publish(project.root)
    assert not published_path(project.root).exists()
    assert publish(project.root, partial=True) == len(PLAN) - 1


@pytest.fixture
def code() -> dict[str, str]:
    """The hash of each method's code."""
    return {"cluster-contrast": "", "supervised": ""}


@pytest.fixture
def parts(project: Project, code: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Project:
    """A plan whose first run was published from another machine, and is not here."""
    monkeypatch.setattr("harness.pipeline.code.code_hash", lambda method: code[method.name])
    monkeypatch.setattr(Registry, "resolved", lambda self, pairing: self.method(pairing.method))
    project.plan(*PLAN)
    publish(project.root)
    shutil.rmtree(project.root / "results" / "runs" / PLAN[0])
    return project


def test_a_plan_is_published_by_parts(parts: Project) -> None:
    before = read_published(parts.root)
    lists = read_lists(parts.root, PLAN[0])
    assert publish(parts.root) == len(PLAN)
    after = read_published(parts.root)
    assert before is not None
    assert after is not None
    assert (after[0].runs, after[0].identities) == (before[0].runs, before[0].identities)
    assert read_lists(parts.root, PLAN[0]) == lists


def test_what_is_published_is_not_kept_once_it_would_come_out_otherwise(parts: Project, code: dict[str, str]) -> None:
    code["cluster-contrast"] = "another"
    with pytest.raises(UserError, match=f"{PLAN[0]}: not finished"):
        publish(parts.root)
    code["cluster-contrast"] = ""
    parts.method("cluster-contrast", params={"temperature": 0.06})
    with pytest.raises(UserError, match=f"{PLAN[0]}: not finished"):
        publish(parts.root)


def test_a_published_run_that_was_altered_is_not_kept(parts: Project) -> None:
    document = json.loads(published_path(parts.root).read_text())
    document["runs"][PLAN[0]]["metrics"]["map"] += 1
    published_path(parts.root).write_text(json.dumps(document))
    with pytest.raises(UserError, match=f"{PLAN[0]}: not finished"):
        publish(parts.root)
    published_path(parts.root).write_text("{")
    with pytest.raises(UserError, match=f"{PLAN[0]}: not finished"):
        publish(parts.root)


def test_a_broken_snapshot_is_named_and_the_rest_goes_on(project: Project) -> None:
    published_path(project.root).write_text('{"version": "1"}')
    report = ingest(project.root)
    assert "written: Field required" in report.rejected["results/published.json"]
    assert len(report.added) == 10


def test_a_tampered_run_is_rejected(project: Project) -> None:
    project.plan(*PLAN)
    publish(project.root)
    shutil.rmtree(project.root / "results" / "runs")
    document = json.loads(published_path(project.root).read_text())
    document["runs"][PLAN[0]]["record"]["seed"] = 7
    published_path(project.root).write_text(json.dumps(document))
    report = ingest(project.root)
    assert list(report.rejected) == [f"results/published.json#{PLAN[0]}"]
    assert len(report.added) == 5


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=1, max_size=30))
def test_published_ap_is_within_half_a_step(values: list[float | None]) -> None:
    import base64

    ap = np.array([np.nan if value is None else value for value in values], dtype=np.float32)
    steps = np.frombuffer(base64.b64decode(quantized(ap)), dtype="<u2")
    for value, step in zip(values, steps.tolist(), strict=True):
        if value is None:
            assert step == 65535
        else:
            assert abs(step / STEPS - value) <= 0.5 / STEPS + 1e-7


def _altered(project: Project, change: Callable[[dict[str, Any]], object], resealed: bool) -> dict[str, str]:
    """Why a published run is left out after a change, if the program that wrote it had written that."""
    project.plan(*PLAN)
    publish(project.root)
    shutil.rmtree(project.root / "results" / "runs")
    document = json.loads(published_path(project.root).read_text())
    run = document["runs"][PLAN[0]]
    change(run)
    run["sha256"] = seal(run) if resealed else run["sha256"]
    published_path(project.root).write_text(json.dumps(document))
    report = ingest(project.root)
    keys = {row.key for row in views.runs(open_store(database_url(project.root), read_only=True))}
    assert keys == set(PLAN) - ({PLAN[0]} if report.rejected else set())
    return report.rejected


IMPOSSIBLE: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a Rank-1 of 500": (lambda run: run["metrics"].update(rank1=500), "metrics.rank1: Input should be less than"),
    "an mINP of −10²²": (lambda run: run["metrics"].update(minp=-1e22), "metrics.minp: Input should be greater than"),
    "an mAP that its AP do not give": (lambda run: run["metrics"].update(map=99.0), "its queries give map"),
    "a Rank-5 that its hits do not give": (lambda run: run["metrics"].update(rank5=99.0), "its queries give rank5"),
    "ranks that do not rise": (
        lambda run: run["metrics"].update(rank10=0.5) or run.update(first_hit=""),
        "its Rank-1, Rank-5 and Rank-10 do not rise",
    ),
    "another number of queries": (lambda run: run["metrics"].update(queries=199), "its metrics say 199"),
    "first hits of other queries": (lambda run: run.update(first_hit=run["first_hit"][:8]), "does not fit its AP"),
    "no base64": (lambda run: run.update(ap="@@"), "ap: "),
    "curves of another length": (lambda run: run["history"].update(loss=[1.0]), "history.csv: "),
    "another run's record": (lambda run: run["record"].update(seed=7), "record.json belongs to"),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_an_impossible_published_figure_is_left_out_and_named(project: Project, name: str) -> None:
    change, said = IMPOSSIBLE[name]
    rejected = _altered(project, change, resealed=True)
    assert list(rejected) == [f"results/published.json#{PLAN[0]}"]
    assert said in rejected[f"results/published.json#{PLAN[0]}"]


def test_an_altered_published_figure_is_found_by_its_hash(project: Project) -> None:
    rejected = _altered(project, lambda run: run["metrics"].update(seconds=2.0), resealed=False)
    assert rejected == {f"results/published.json#{PLAN[0]}": "it was altered: its SHA-256 differs"}


def test_a_published_run_that_is_unaltered_stays(project: Project) -> None:
    assert _altered(project, lambda run: None, resealed=False) == {}
