import json
from datetime import UTC, datetime

import pytest
from scipy import stats

from harness.pipeline.processes import this_process
from harness.store import Store, ingest, open_store, views
from harness.store.database import database_url
from harness.store.entries import verdict
from harness.store.views import LeaderRow
from harness.tables.columns import BY_KEY
from tests.store.factory import Project


def cells(store: Store) -> dict[tuple[str, str], LeaderRow]:
    return {(row.method, row.task): row for row in views.matrix(store)}


def test_every_cell_says_why_it_is_empty(store: Store) -> None:
    found = cells(store)
    states = {key: found[key].state for key in found}
    assert states["cluster-contrast", "beta"] == "reproduced"
    assert states["cluster-contrast", "market"] == "reported"
    assert states["spcl-plus", "market"] == "reported"
    assert states["uda-baseline", "alpha-to-beta"] == "running"
    assert states["cluster-contrast", "alpha-to-beta"] == "incompatible"
    assert states["supervised", "market"] == "not planned"
    assert found["cluster-contrast", "alpha-to-beta"].reason == "cluster-contrast is a 'usl' method: it takes no source"
    how = "`harness data add market PATH`, then `harness plan --add --methods supervised --targets market`"
    assert how in found["supervised", "market"].reason
    assert all(row.reason for row in found.values() if not row.scores)


def entry(project: Project, method: str, task: str) -> LeaderRow:
    ingest(project.root)
    return cells(open_store(database_url(project.root), read_only=True))[method, task]


def test_a_planned_pairing_that_was_not_started_is_queued(project: Project) -> None:
    project.plan("supervised__alpha__s0")
    row = entry(project, "supervised", "alpha")
    assert (row.state, row.reason) == ("queued", "planned, not started")


def test_a_failed_pairing_shows_its_reason(project: Project) -> None:
    project.plan("supervised__alpha__s0")
    project.attempt("supervised__alpha__s0")
    row = entry(project, "supervised", "alpha")
    assert (row.state, row.reason) == ("failed", "nan: the loss is not a number")


def test_the_latest_attempt_counts_whatever_a_clock_said(project: Project) -> None:
    project.plan("supervised__alpha__s0")
    project.attempt("supervised__alpha__s0", started=datetime(2126, 4, 1, tzinfo=UTC))
    project.attempt("supervised__alpha__s0", "running", started=datetime(2026, 4, 1, tzinfo=UTC))
    assert entry(project, "supervised", "alpha").state == "running"


def test_an_attempt_whose_process_is_gone_was_killed(project: Project) -> None:
    project.plan("supervised__alpha__s0")
    number, _, boot = this_process().split(":")
    project.attempt("supervised__alpha__s0", "running", process=f"{number}:1:{boot}")  # its number lives on in another
    row = entry(project, "supervised", "alpha")
    assert (row.state, row.reason) == ("interrupted", "train was killed in epoch 4 of 6; run it again to resume")


def test_a_trained_run_waits_for_its_evaluation(project: Project) -> None:
    project.plan("supervised__alpha__s0")
    project.attempt("supervised__alpha__s0", "finished")
    folder = project.root / "results" / "runs" / "supervised__alpha__s0"
    folder.mkdir(parents=True)
    (folder / "record.json").write_text("{}")
    row = entry(project, "supervised", "alpha")
    assert (row.state, row.reason) == ("trained", "not evaluated yet")


def test_a_seed_that_failed_is_named_beside_those_that_did_not(project: Project) -> None:
    project.plan("direct-transfer__alpha-to-beta__s0", "direct-transfer__alpha-to-beta__s1")
    project.attempt("direct-transfer__alpha-to-beta__s1")
    row = entry(project, "direct-transfer", "alpha-to-beta")
    assert row.state == "reproduced"
    assert row.reason == "seed 1 failed: nan: the loss is not a number"


def test_mean_and_spread_are_those_of_the_runs(store: Store) -> None:
    maps = [run.map for run in views.runs(store, "beta", "supervised")]
    score = cells(store)["supervised", "beta"].scores["map"]
    mean = sum(maps) / 3
    assert score.mean == pytest.approx(mean)
    assert score.std == pytest.approx((sum((x - mean) ** 2 for x in maps) / 2) ** 0.5)
    assert cells(store)["direct-transfer", "alpha-to-beta"].scores["map"].std is None


def test_a_source_task_shows_methods_without_source_for_context(store: Store) -> None:
    rows = views.leaderboard(store, "alpha-to-beta")
    assert [row.method for row in rows] == [
        "supervised", "cluster-contrast", "cc-twin", "direct-transfer", "uda-baseline",
    ]  # fmt: skip
    assert [row.method for row in views.leaderboard(store, "alpha-to-beta", "uda")] == ["uda-baseline"]


def test_rows_within_noise_are_tied_and_others_are_not(store: Store) -> None:
    letters = {row.method: row.letters for row in views.leaderboard(store, "beta")}
    assert letters == {"supervised": "", "cluster-contrast": "a", "cc-twin": "a"}
    inside = {row.method: row for row in views.leaderboard(store, "beta", "usl")}
    assert inside["cluster-contrast"].p_top is None
    assert (inside["cc-twin"].p_top or 0) > 0.05


def test_runs_on_other_data_are_not_paired(project: Project) -> None:
    project.hashes["beta"] = "another"
    for seed in range(3):
        project.run(f"cc-twin__beta__s{seed}", 0.601, noise=10 + seed)
    ingest(project.root)
    rows = views.leaderboard(open_store(database_url(project.root), read_only=True), "beta")
    assert {row.method: row.letters for row in rows}["cc-twin"] == ""


@pytest.mark.parametrize(
    ("ours", "reported", "expected"),
    [
        ([82.0, 83.0, 82.4], 82.6, "within the spread"),
        ([82.0, 82.1, 82.05], 82.6, "close"),
        ([70.0, 70.1, 70.05], 82.6, "off"),
        ([82.0], 82.6, "close"),
        ([60.0], 82.6, "off"),
    ],
)
def test_verdicts(ours: list[float], reported: float, expected: str) -> None:
    judged = verdict(ours, [reported])
    assert judged.verdict == expected
    assert judged.difference == pytest.approx(sum(ours) / len(ours) - reported)


def test_a_reported_figure_of_the_same_regime_gets_a_verdict(project: Project) -> None:
    quoted = {"target": "beta", "regime": "drawn", "map": 58.7, "quoted_from": "an earlier report", "verified": True}
    project.method("cluster-contrast", reported=[quoted])
    row = entry(project, "cluster-contrast", "beta")
    assert row.verdict == "within the spread"
    assert "one-sample t-test over 3 seeds" in row.verdict_note
    assert row.difference == pytest.approx((row.score("map") or 0) - 58.7)


def test_several_runs_of_one_publication_are_judged_by_welchs_test(project: Project) -> None:
    quoted = {"target": "beta", "regime": "drawn", "quoted_from": "Table 3", "verified": True}
    other = quoted | {"map": 20.0, "note": "with half the epochs"}
    project.method("cluster-contrast", reported=[*(quoted | {"map": value} for value in (57.2, 58.4, 57.9)), other])
    row = entry(project, "cluster-contrast", "beta")
    assert row.reported["map"] == pytest.approx((57.2 + 58.4 + 57.9) / 3)
    ours = [run.map for run in views.runs(open_store(database_url(project.root), read_only=True), "beta", row.method)]
    p = stats.ttest_ind(ours, [57.2, 58.4, 57.9], equal_var=False).pvalue
    assert row.verdict_note == f"Welch's test over 3 seeds: p = {p:.3f}"


def test_a_figure_of_another_regime_is_not_compared(project: Project) -> None:
    quoted = {"target": "beta", "regime": "paper", "map": 57.9, "quoted_from": "a paper", "verified": True}
    project.method("cluster-contrast", reported=[quoted])
    row = entry(project, "cluster-contrast", "beta")
    assert (row.verdict, row.reported) == ("", {})


def test_ties_follow_the_runs(project: Project) -> None:
    ingest(project.root)
    for seed in range(3):
        project.run(f"cc-twin__beta__s{seed}", 0.5, noise=10 + seed)
    ingest(project.root)
    store = open_store(database_url(project.root), read_only=True)
    assert {row.letters for row in views.leaderboard(store, "beta")} == {""}


def test_seeds_without_a_result_are_listed_together(project: Project) -> None:
    project.plan(*(f"direct-transfer__alpha-to-beta__s{seed}" for seed in range(4)))
    project.attempt("direct-transfer__alpha-to-beta__s2")
    row = entry(project, "direct-transfer", "alpha-to-beta")
    assert row.reason == "seeds 1, 3 queued; seed 2 failed: nan: the loss is not a number"


def test_starts_of_others_are_not_ranked(project: Project) -> None:
    project.method("cc-twin", role="init")
    ingest(project.root)
    rows = views.leaderboard(open_store(database_url(project.root), read_only=True), "beta")
    assert [row.method for row in rows] == ["supervised", "cluster-contrast"]


def test_what_makes_rows_comparable_is_theirs(project: Project) -> None:
    ingest(project.root)
    store = open_store(database_url(project.root), read_only=True)
    rows = {row.method: row for row in views.leaderboard(store, "alpha-to-beta")}
    found = {name: (row.pretraining, row.input_size, row.train_cameras, row.test_time) for name, row in rows.items()}
    assert found["supervised"] == ("imagenet", "64×32", "yes", "none")
    assert found["direct-transfer"] == ("imagenet", "64×32", "no", "none")
    assert found["uda-baseline"] == ("", "", "", "")


def test_the_epoch_chosen_without_labels_has_its_regret(project: Project) -> None:
    for seed, (chosen, best) in enumerate([(50.0, 52.0), (51.0, 51.0), (49.0, 50.5)]):
        path = project.root / "results" / "runs" / f"cluster-contrast__beta__s{seed}" / "metrics.json"
        metrics = json.loads(path.read_text())
        metrics["chosen_without_labels"] = {"epoch": 3, "map": chosen, "rank1": 70.0, "rule": "a rule"}
        metrics["best_on_test"] |= {"map": best}
        path.write_text(json.dumps(metrics))
    row = entry(project, "cluster-contrast", "beta")
    assert row.chosen == {"map": pytest.approx(50), "rank1": pytest.approx(70)}
    assert row.regret == pytest.approx((52 + 51 + 50.5) / 3 - 50)
    assert (BY_KEY["chosen"].text(row), BY_KEY["regret"].text(row)) == ("50.0", "1.2")
    other = entry(project, "supervised", "beta")
    assert (other.chosen, other.regret) == ({}, None)
