import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.errors import UserError
from harness.store import Store, ingest, open_store, views
from harness.store.database import database_url
from tests.store.factory import Project, reseal

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


def _table(path: Path, /, **columns: object) -> None:
    table = pq.read_table(path)
    for name, values in columns.items():
        index = table.schema.get_field_index(name)
        made = pa.array(values, table.schema.field(index).type) if isinstance(values, list) else values
        table = table.set_column(index, name, made)
    pq.write_table(table, path)


def _history(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


BREAKAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "half a file": (lambda f: (f / "record.json").write_text('{"key": '), "record.json: not readable as JSON"),
    "another run's record": (lambda f: _edit(f / "record.json", seed=5), "record.json belongs to"),
    "a record edited by hand": (lambda f: _edit(f / "record.json", epochs=5), "belongs to another record"),
    "unknown field": (lambda f: _edit(f / "metrics.json", rank2=1), "metrics.json: rank2"),
    "not JSON's number": (lambda f: _edit(f / "metrics.json", map=float("nan")), "NaN is not a number"),
    "above 100": (lambda f: _edit(f / "metrics.json", rank1=500), "metrics.json: rank1"),
    "below 0": (lambda f: _edit(f / "metrics.json", minp=-(10**22)), "metrics.json: minp: an integer of more than 64"),
    "no time zone": (lambda f: _edit(f / "record.json", started="2026-01-01T00:00:00"), "no time zone"),
    "wrong mAP": (lambda f: _edit(f / "metrics.json", map=12.0), "metrics.json says 12.00"),
    "wrong trapezoid": (lambda f: _edit(f / "metrics.json", map_trapezoid=12.0), "a trapezoid mAP of"),
    "wrong Rank-1": (lambda f: _edit(f / "metrics.json", rank1=99.0), "a Rank-1 of"),
    "wrong Rank-5": (lambda f: _edit(f / "metrics.json", rank5=1.0), "a Rank-5 of"),
    "wrong Rank-10": (lambda f: _edit(f / "metrics.json", rank10=1.0), "a Rank-10 of"),
    "wrong mINP": (lambda f: _edit(f / "metrics.json", minp=1.0), "an mINP of"),
    "wrong count": (lambda f: _edit(f / "metrics.json", queries_without_match=3), "without a match"),
    "other protocol": (lambda f: _edit(f / "metrics.json", protocol="mine"), "different checkpoints or protocols"),
    "a flipped bit": (lambda f: _flip(f / "queries.parquet"), "queries.parquet is damaged"),
    "a flipped bit of a curve": (lambda f: _flip(f / "history.csv"), "history.csv is not the one"),
    "a folder": (lambda f: _folder(f / "history.csv"), "history.csv: cannot be read: it is a folder"),
    "a link loop": (lambda f: _loop(f / "history.csv"), "history.csv: cannot be read: Too many levels"),
    "a pipe": (lambda f: _pipe(f / "metrics.json"), "metrics.json: cannot be read: it is a named pipe"),
    "deep": (lambda f: (f / "metrics.json").write_text("[" * 100_000), "metrics.json: not readable as JSON"),
    "many digits": (lambda f: (f / "metrics.json").write_text('{"map": ' + "9" * 5000 + "}"), "metrics.json: not read"),
}
RESEALED: dict[str, tuple[Callable[[Path], object], str]] = {
    "no AP column": (lambda f: _without_ap(f / "queries.parquet"), "lacks the columns ap"),
    "AP above 1": (lambda f: _doubled_ap(f / "queries.parquet"), "do not follow from its ranks"),
    "no parquet": (lambda f: (f / "queries.parquet").write_bytes(b"nothing"), "queries.parquet: not readable"),
    "no header": (lambda f: (f / "history.csv").write_text(""), "history.csv: is empty"),
    "other header": (lambda f: (f / "history.csv").write_text("epoch,loss\n1,2\n"), "history.csv lacks"),
    "no text": (lambda f: (f / "history.csv").write_bytes(b"\xff\xfe"), "history.csv: not readable as CSV"),
    "a long cell": (lambda f: (f / "history.csv").write_text("epoch\n" + "9" * 131_073), "history.csv: not readable"),
    "a negative epoch": (lambda f: _history(f / "history.csv", "\n1,", "\n-5,"), "epochs are not 1, 2, 3"),
    "a word": (lambda f: _history(f / "history.csv", "0.00035", "high"), "history.csv:2: learning_rate: 'high'"),
    "no path": (lambda f: _table(f / "queries.parquet", path=[None] * 200), "lacks its path"),
    "an index out of range": (
        lambda f: _table(f / "queries.parquet", gallery=[[60] * 10] * 200),
        "ranked list of query",
    ),
    "an empty list": (lambda f: _table(f / "queries.parquet", gallery=[[]] * 200), "the ranked list of query 0"),
    "a null in a list": (lambda f: _table(f / "queries.parquet", correct=[[None] * 10] * 200), "list of query 0"),
    "text": (lambda f: _table(f / "queries.parquet", identity=pa.array(["a"] * 200)), "not readable as Parquet"),
    "other order": (lambda f: _table(f / "queries.parquet", query=[*range(199, -1, -1)]), "not 0, 1, 2"),
    "another rank": (lambda f: _table(f / "queries.parquet", first_hit=[2] * 200), "do not follow from its ranks"),
    "ranks that fall": (lambda f: _table(f / "queries.parquet", match_ranks=[[3, 2, 4, 5, 6]] * 200), "do not rise"),
    "a rank of 61 among 60": (lambda f: _table(f / "queries.parquet", match_ranks=[[61]] * 200), "outside the gallery"),
    "no ranks": (lambda f: _table(f / "queries.parquet", match_ranks=[[]] * 200), "no query has a match"),
    "an integer of 64 bits": (lambda f: _edit(f / "record.json", epochs=2**63), "an integer of more than 64 bits"),
    "half a character": (lambda f: _edit(f / "record.json", precision="\ud800"), "no text"),
}


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("name", [*BREAKAGES, *RESEALED])
def test_a_broken_folder_is_rejected_with_its_reason_and_the_rest_goes_on(project: Project, name: str) -> None:
    breakage, reason = (BREAKAGES | RESEALED)[name]
    folder = project.root / "results" / "runs" / KEY
    breakage(folder)
    if name in RESEALED:
        reseal(folder)
    report = ingest(project.root)
    assert list(report.rejected) == [f"results/runs/{KEY}"]
    assert reason in report.rejected[f"results/runs/{KEY}"]
    assert len(report.added) == 9
    assert views.snapshot(read_only(project)).rejected == tuple(report.rejected.items())


def test_results_of_an_old_training_never_stand_under_a_new_record(project: Project) -> None:
    ingest(project.root)
    folder = project.root / "results" / "runs" / KEY
    old = (folder / "metrics.json").read_bytes(), (folder / "queries.parquet").read_bytes()
    project.run(KEY, 0.7)  # trained again …
    (folder / "metrics.json").write_bytes(old[0])  # … but not evaluated again
    (folder / "queries.parquet").write_bytes(old[1])
    report = ingest(project.root)
    assert f"evaluate it: dvc repro evaluate@{KEY}" in report.rejected[f"results/runs/{KEY}"]
    assert report.removed == [KEY]
    assert views.run(read_only(project), KEY) is None


@pytest.mark.parametrize(
    "change",
    ["UPDATE run SET map = 99.0", "UPDATE run SET rank5 = 12.5", "UPDATE rundetail SET ap = zeroblob(800)",
     "UPDATE rundetail SET history = '{}'", "UPDATE run SET seed = 'three'"],
)  # fmt: skip
def test_a_figure_altered_in_the_database_is_read_again(project: Project, change: str) -> None:
    ingest(project.root)
    before = views.snapshot(read_only(project)), views.run(read_only(project), KEY), views.ap(read_only(project), KEY)
    with sqlite3.connect(database_url(project.root)) as connection:
        connection.execute(f"{change} WHERE {'run_key' if 'detail' in change else 'key'} = '{KEY}'")
    connection.close()
    assert ingest(project.root).updated == [KEY]
    after = views.snapshot(read_only(project)), views.run(read_only(project), KEY), views.ap(read_only(project), KEY)
    assert after[:2] == before[:2]
    assert after[2].tolist() == before[2].tolist()


@pytest.mark.parametrize(
    "change",
    ["UPDATE rundetail SET record = '{'", "UPDATE run SET started = 'yesterday'",
     "UPDATE run SET started = 5", "DELETE FROM run WHERE rowid % 2"],
)  # fmt: skip
def test_a_damaged_value_in_the_database_is_said_so(project: Project, change: str) -> None:
    ingest(project.root)
    with sqlite3.connect(database_url(project.root)) as connection:
        connection.execute(change)
    connection.close()
    with pytest.raises(UserError, match=r"damaged.*delete it and run `harness leaderboard`"):
        ingest(project.root)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
def test_a_plan_that_cannot_be_read_is_named_and_the_results_are_shown(
    project: Project, make: Callable[[Path], object]
) -> None:
    path = project.root / "pipelines" / "cluster-contrast" / "dvc.yaml"
    path.unlink()
    make(path)
    report = ingest(project.root)
    assert len(report.added) == 10
    assert list(report.rejected) == ["pipelines/cluster-contrast/dvc.yaml"]


@pytest.mark.parametrize("text", ["<<<<<<< ours\n", "runs: [1, 2]\n", "\0\xff", "- " * 5000])
def test_a_plan_that_a_merge_or_an_editor_broke_stops_nothing(project: Project, text: str) -> None:
    path = project.root / "pipelines" / "cluster-contrast" / "dvc.yaml"
    path.write_bytes(text.encode("latin1") + path.read_bytes())
    report = ingest(project.root)
    assert (len(report.added), report.rejected) == (10, {})


def test_a_dataset_that_was_prepared_anew_is_marked(project: Project) -> None:
    project.images("beta", queries=200, gallery=60)
    assert ingest(project.root).stale[0] == "cc-twin__beta__s0"
    run = views.run(read_only(project), KEY)
    assert run is not None
    assert run.stale == "beta was prepared anew since, and differs"


def test_names_that_are_no_text_do_not_stop_the_board(project: Project) -> None:
    runs = os.fsencode(project.root / "results" / "runs")
    Path(os.fsdecode(runs + b"/\xff\xfe")).mkdir()
    for name in ("record.json", "metrics.json", "queries.parquet", "history.csv"):
        Path(os.fsdecode(runs + b"/\xff\xfe/" + name.encode())).write_text("{}")
    report = ingest(project.root)
    assert list(report.rejected) == ["results/runs/\\xff\\xfe"]
    assert len(report.added) == 10


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

    monkeypatch.setattr(import_module("harness.store.ingestion"), "refresh_entries", interrupted)
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
