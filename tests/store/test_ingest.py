import json
import shutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.errors import UserError
from harness.store import Store, ingest, open_store, views
from harness.store.database import database_url
from tests.store.factory import Project

KEY = "cluster-contrast__beta__s0"


def read_only(project: Project) -> Store:
    return open_store(database_url(project.root), read_only=True)


def test_a_second_ingest_changes_nothing(project: Project) -> None:
    first = ingest(project.root)
    before = views.snapshot(read_only(project))
    second = ingest(project.root)
    assert len(first.added) == 10
    assert (second.added, second.updated, second.removed, second.unchanged) == ([], [], [], 10)
    assert views.snapshot(read_only(project)) == before


def test_a_deleted_database_is_rebuilt_to_the_same_snapshot(project: Project) -> None:
    ingest(project.root)
    before = views.snapshot(read_only(project))
    Path(database_url(project.root)).unlink()
    ingest(project.root)
    assert views.snapshot(read_only(project)) == before


def test_a_run_whose_files_were_deleted_goes(project: Project) -> None:
    ingest(project.root)
    shutil.rmtree(project.root / "results" / "runs" / KEY)
    assert ingest(project.root).removed == [KEY]
    store = read_only(project)
    assert views.run(store, KEY) is None
    assert views.run_detail(store, KEY) is None


def test_a_changed_run_is_taken_in_again(project: Project) -> None:
    ingest(project.root)
    project.run(KEY, 0.7)
    assert ingest(project.root).updated == [KEY]
    run = views.run(read_only(project), KEY)
    assert run is not None
    assert run.map > 65


def test_per_query_ap_is_exact_float32(project: Project) -> None:
    ingest(project.root)
    path = project.root / "results" / "runs" / KEY / "queries.parquet"
    stored = views.ap(read_only(project), KEY)
    wanted = pq.read_table(path, columns=["ap"])["ap"].to_numpy().astype("float32")
    assert stored.tolist() == wanted.tolist()


def test_queries_without_a_match_are_kept_as_nan(project: Project) -> None:
    project.run(KEY, 0.6, unmatched=5)
    assert ingest(project.root).rejected == {}
    stored = views.ap(read_only(project), KEY)
    assert [bool(x) for x in stored != stored][:6] == [True] * 5 + [False]


def _edit(path: Path, **changes: object) -> None:
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document | changes))


def _without_ap(path: Path) -> None:
    pq.write_table(pq.read_table(path).drop(["ap"]), path)


def _doubled_ap(path: Path) -> None:
    table = pq.read_table(path)
    column = pa.array([2 * x for x in table["ap"].to_pylist()])
    pq.write_table(table.set_column(table.schema.get_field_index("ap"), "ap", column), path)


BREAKAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "half a file": (lambda f: (f / "record.json").write_text('{"key": '), "record.json"),
    "another run's record": (lambda f: _edit(f / "record.json", seed=5), "record.json belongs to"),
    "unknown field": (lambda f: _edit(f / "metrics.json", rank2=1), "metrics.json: rank2"),
    "no time zone": (lambda f: _edit(f / "record.json", started="2026-01-01T00:00:00"), "no time zone"),
    "wrong mAP": (lambda f: _edit(f / "metrics.json", map=12.0), "metrics.json says 12.00"),
    "wrong count": (lambda f: _edit(f / "metrics.json", queries_without_match=3), "without AP"),
    "no AP column": (lambda f: _without_ap(f / "queries.parquet"), "lacks the columns ap"),
    "AP above 1": (lambda f: _doubled_ap(f / "queries.parquet"), "outside [0, 1]"),
    "no parquet": (lambda f: (f / "queries.parquet").write_bytes(b"nothing"), "queries.parquet"),
    "no header": (lambda f: (f / "history.csv").write_text(""), "history.csv is empty"),
    "other header": (lambda f: (f / "history.csv").write_text("epoch,loss\n1,2\n"), "history.csv lacks"),
}


@pytest.mark.parametrize("name", BREAKAGES)
def test_a_broken_folder_is_rejected_with_its_reason_and_the_rest_goes_on(project: Project, name: str) -> None:
    breakage, reason = BREAKAGES[name]
    breakage(project.root / "results" / "runs" / KEY)
    report = ingest(project.root)
    assert list(report.rejected) == [f"results/runs/{KEY}"]
    assert reason in report.rejected[f"results/runs/{KEY}"]
    assert len(report.added) == 9
    assert views.snapshot(read_only(project)).rejected == tuple(report.rejected.items())


def test_a_run_that_is_not_evaluated_yet_is_not_broken(project: Project) -> None:
    (project.root / "results" / "runs" / KEY / "metrics.json").unlink()
    report = ingest(project.root)
    assert report.rejected == {}
    assert KEY not in report.added


def test_a_run_of_another_spec_is_marked_outdated(project: Project) -> None:
    project.method("cluster-contrast", params={"temperature": 0.07})
    assert ingest(project.root).stale == [f"cluster-contrast__beta__s{seed}" for seed in range(3)]
    run = views.run(read_only(project), KEY)
    assert run is not None
    assert run.stale == "the spec has changed since: params.temperature"


def test_a_run_of_a_deleted_method_is_kept_and_marked(project: Project) -> None:
    (project.root / "methods" / "cluster-contrast.yaml").unlink()
    ingest(project.root)
    rows = {row.method: row for row in views.leaderboard(read_only(project), "beta")}
    assert "no method is called 'cluster-contrast'" in rows["cluster-contrast"].stale
    assert rows["cluster-contrast"].role == "unregistered"


def test_a_failing_ingest_changes_nothing(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    ingest(project.root)
    before = views.snapshot(read_only(project))
    project.run(KEY, 0.7)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(import_module("harness.store.ingest"), "refresh_entries", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ingest(project.root)
    store = read_only(project)
    assert views.snapshot(store) == before
    run = views.run(store, KEY)
    assert run is not None
    assert run.map < 65


def test_an_attempt_that_is_broken_is_named(project: Project) -> None:
    path = project.attempt("supervised__beta__s0")
    path.write_text("{}")
    report = ingest(project.root)
    assert "key: Field required" in report.rejected[str(path.relative_to(project.root))]


def test_unknown_names_are_user_errors(store: Store) -> None:
    with pytest.raises(UserError, match="no task is called 'nowhere'"):
        views.leaderboard(store, "nowhere")
    with pytest.raises(UserError, match="there is no finished run 'x__y__s0'"):
        views.ap(store, "x__y__s0")


def test_a_wrong_spec_is_named_and_the_rest_goes_on(project: Project) -> None:
    project.method("newcomer", colour="red")
    report = ingest(project.root)
    (problem,) = report.problems
    assert "newcomer.yaml" in problem
    assert "colour" in problem
    assert len(report.added) == 10
