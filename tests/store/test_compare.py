"""Comparisons of what the store holds: the test of methods, what is won, and every way in which two do not fit."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.errors import UserError
from harness.evaluation import compare_runs
from harness.statistics.basics import holm
from harness.store import Store, ingest, open_store, publish
from harness.store.compare import TIE, compare, contestant, corrected
from harness.store.database import database_url
from harness.store.published import packed_identities, published_path, unpacked_identities
from tests.store.factory import Project, reseal

THREE = [f"{method}__beta__s{seed}" for method in ("cc-twin", "supervised") for seed in (0, 1, 2)]


def reopened(project: Project) -> Store:
    ingest(project.root)
    return open_store(database_url(project.root), read_only=True)


def files(project: Project, method: str) -> tuple[np.ndarray, np.ndarray]:
    tables = [
        pq.read_table(project.root / "results" / "runs" / f"{method}__beta__s{seed}" / "queries.parquet")
        for seed in (0, 1, 2)
    ]
    return 100 * np.stack([t["ap"].to_numpy() for t in tables]), tables[0]["identity"].to_numpy()


def test_a_comparison_is_that_of_the_files(project: Project, store: Store) -> None:
    twin, identities = files(project, "cc-twin")
    base, _ = files(project, "cluster-contrast")
    (found,) = compare(contestant(store, "beta", "cluster-contrast"), [contestant(store, "beta", "cc-twin")])
    expected = compare_runs(twin, base, identities)
    assert found.result.p_value == pytest.approx(expected.p_value, rel=1e-3)
    assert (found.result.difference, found.result.df) == pytest.approx((expected.difference, expected.df), rel=1e-3)
    assert (found.result.identities, found.verdict) == (10, "cannot be told apart")
    gain = twin.mean(0) - base.mean(0)
    assert (found.wins, found.losses) == (np.sum(gain >= TIE), np.sum(gain <= -TIE))
    assert found.wins + found.ties + found.losses == 200


def test_holm_counts_the_verdicts_only(store: Store) -> None:
    names = ["cc-twin", "supervised", "cc-twin__beta__s0"]
    found = compare(contestant(store, "beta", "cluster-contrast"), [contestant(store, "beta", name) for name in names])
    raw = [each.result.p_value for each in found]
    assert [each.corrected for each in found] == pytest.approx([*holm(raw[:2]), raw[2]])
    assert [each.verdict for each in found] == ["cannot be told apart", "better", None]
    assert corrected(found) == found
    assert corrected([]) == []


def test_other_galleries_are_refused(project: Project) -> None:
    for seed in (0, 1, 2):
        project.run(f"cc-twin__beta__s{seed}", 0.6, unmatched=3)
    store = reopened(project)
    with pytest.raises(UserError, match="cc-twin and supervised were evaluated on different query sets or galleries"):
        compare(contestant(store, "beta", "cc-twin"), [contestant(store, "beta", "supervised")])


def test_seeds_on_several_versions_of_the_data_are_refused(project: Project) -> None:
    project.hashes["beta"] = "e" * 16
    project.run("cc-twin__beta__s1", 0.6)
    store = reopened(project)
    with pytest.raises(UserError, match="different query sets or galleries; evaluate them again"):
        compare(contestant(store, "beta", "supervised"), [contestant(store, "beta", "cc-twin")])


def test_one_identity_is_refused_in_one_line(project: Project) -> None:
    for run in (project.root / "results" / "runs").iterdir():
        path = run / "queries.parquet"
        table = pq.read_table(path)
        place = table.column_names.index("identity")
        pq.write_table(table.set_column(place, "identity", pa.array([4] * len(table), pa.int32())), path)
        reseal(run)
    store = reopened(project)
    with pytest.raises(UserError, match="all 200 queries show one identity"):
        compare(contestant(store, "beta", "supervised"), [contestant(store, "beta", "cc-twin")])


def test_queries_without_identity_are_rejected(project: Project) -> None:
    path = project.root / "results" / "runs" / THREE[0] / "queries.parquet"
    table = pq.read_table(path)
    place = table.column_names.index("identity")
    pq.write_table(table.set_column(place, "identity", pa.array([None] * len(table), pa.int32())), path)
    reseal(path.parent)
    assert ingest(project.root).rejected[f"results/runs/{THREE[0]}"] == (
        "queries.parquet: a query lacks its path, labels or ranked lists"
    )


def test_a_snapshot_without_identities_says_what_to_do(project: Project) -> None:
    project.plan(*THREE)
    publish(project.root)
    document = json.loads(published_path(project.root).read_text())
    assert list(document["identities"]) == ["d" * 16]
    del document["identities"]
    published_path(project.root).write_text(json.dumps(document))
    shutil.rmtree(project.root / "results" / "runs")
    store = reopened(project)
    with pytest.raises(UserError, match=r"identities of the queries of cc-twin are not known: .*`harness results publ"):
        compare(contestant(store, "beta", "supervised"), [contestant(store, "beta", "cc-twin")])


@pytest.mark.parametrize("broken", ["no base64!", "AA=="])
def test_broken_identities_are_named_and_the_rest_goes_on(project: Project, broken: str) -> None:
    project.plan(*THREE)
    publish(project.root)
    document = json.loads(published_path(project.root).read_text())
    document["identities"]["d" * 16] = broken
    published_path(project.root).write_text(json.dumps(document))
    shutil.rmtree(project.root / "results" / "runs")
    report = ingest(project.root)
    assert report.rejected["results/published.json#identities"].startswith("identities: ")
    assert sorted(report.added) == sorted(THREE)


def test_more_identities_than_a_snapshot_can_number_are_refused() -> None:
    packed = packed_identities(np.array([0, 65_535, 1], np.int32))
    assert unpacked_identities(packed).tolist() == [0, 65_535, 1]
    with pytest.raises(UserError, match="65537 identities"):
        packed_identities(np.array([65_536], np.int32))
