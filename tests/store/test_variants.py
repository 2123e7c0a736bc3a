"""Scores by variants of the protocol: kept apart from the plain ones, checked as they are."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from harness.errors import UserError
from harness.store import Store, ingest, open_store, views
from harness.store.database import database_url
from harness.tables.terminal import render_leaderboard
from tests.store.factory import Project, sha256

RANKING = ("map", "rank1", "rank5", "rank10", "minp", "map_trapezoid", "queries", "queries_without_match", "gallery")
KEY, BETTER = "cluster-contrast__beta__s0", "supervised__beta__s0"
RERANK = "reid-v1+rerank"


def read_only(project: Project) -> Store:
    return open_store(database_url(project.root), read_only=True)


def scored(project: Project) -> None:
    """Two seeds of a method by re-ranking, each with what a better run has."""
    for seed in (0, 1):
        project.variant(f"cluster-contrast__beta__s{seed}", RERANK, f"supervised__beta__s{seed}")


def test_a_variant_is_a_row_of_its_own_protocol_alone(project: Project) -> None:
    ingest(project.root)
    plain = views.leaderboard(read_only(project), "beta")
    matrix = views.matrix(read_only(project))
    scored(project)
    assert ingest(project.root).rejected == {}
    store = read_only(project)
    assert views.leaderboard(store, "beta") == plain
    assert views.matrix(store) == matrix
    assert views.protocols(store, "beta") == ["reid-v1", RERANK]
    (row,) = views.leaderboard(store, "beta", protocol=RERANK)
    maps = [run.map for seed in (0, 1) if (run := views.run(store, f"supervised__beta__s{seed}"))]
    assert row.scores["map"].mean == pytest.approx(sum(maps) / 2)
    assert (row.method, row.seeds, row.protocol, row.transductive) == ("cluster-contrast", (0, 1), RERANK, True)
    assert (row.test_time, row.test_cameras, row.letters, row.best, row.reported) == ("rerank", "no", "", {}, {})
    assert {other.test_time for other in plain if other.scores} == {"none"}
    assert [found.protocol for found in views.variants(store, KEY)] == [RERANK]


def test_camera_labels_at_test_are_told(project: Project) -> None:
    project.variant(KEY, "reid-v1+camnorm+rerank", BETTER)
    project.variant(KEY, "reid-v1+flip", BETTER)
    ingest(project.root)
    store = read_only(project)
    found = {
        protocol: (row.test_cameras, row.transductive, row.test_time)
        for protocol in views.protocols(store, "beta")
        for row in views.leaderboard(store, "beta", protocol=protocol)
        if row.method == "cluster-contrast"
    }
    assert found == {
        "reid-v1": ("no", False, "none"),
        "reid-v1+camnorm+rerank": ("yes", True, "camnorm+rerank"),
        "reid-v1+flip": ("no", False, "flip"),
    }


def test_a_second_ingest_changes_nothing_and_rights_what_was_altered(project: Project) -> None:
    scored(project)
    ingest(project.root)
    before = views.leaderboard(read_only(project), "beta", protocol=RERANK)
    snapshot = views.snapshot(read_only(project))
    with sqlite3.connect(database_url(project.root)) as database:
        database.execute("UPDATE variant SET map = 99")
    report = ingest(project.root)
    assert (report.added, report.updated, report.unchanged) == ([], [], 10)
    assert views.leaderboard(read_only(project), "beta", protocol=RERANK) == before
    assert views.snapshot(read_only(project)) == snapshot


def test_what_is_gone_goes(project: Project) -> None:
    scored(project)
    ingest(project.root)
    for path in (project.root / "results" / "runs").glob("*/*+rerank*"):
        path.unlink()
    ingest(project.root)
    assert views.protocols(read_only(project), "beta") == ["reid-v1"]
    with pytest.raises(UserError, match=r"nothing on beta was scored by protocol 'reid-v1\+rerank', only by reid-v1;"):
        views.leaderboard(read_only(project), "beta", protocol=RERANK)


def _edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def _queries(path: Path, change: Callable[[Path], object]) -> None:
    """Change the queries, and let the metrics vouch for them."""
    queries = path.with_name("queries+rerank.parquet")
    change(queries)
    _edit(path, queries_sha256=sha256(queries))


def _third_draw(path: Path) -> None:
    table = pq.read_table(path)
    pq.write_table(table.set_column(table.num_columns - 1, "draw", [[2] * table.num_rows]), path)


BREAKAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "half a file": (lambda f: f.write_text("{"), "not readable as JSON"),
    "another score": (
        lambda f: _edit(f, map=12.5),
        r"queries\+rerank.parquet gives an mAP of .*, its metrics say 12.50",
    ),
    "another run's": (lambda f: _edit(f, record_sha256="0" * 64), "belongs to another record: .* trained again since"),
    "another variant's": (lambda f: _edit(f, protocol="reid-v1+flip"), r"holds scores by protocol reid-v1\+flip"),
    "no variant": (lambda f: _edit(f, protocol="reid-v1+best"), r"no protocol is called 'reid-v1\+best'"),
    "claimed not transductive": (lambda f: _edit(f, transductive=False), "what it says of .* is not so"),
    "damaged queries": (
        lambda f: f.with_name("queries+rerank.parquet").write_bytes(b"PAR1"),
        r"queries\+rerank.parquet is damaged: .*harness evaluate cluster-contrast__beta__s0 --test-time rerank",
    ),
    "no queries": (lambda f: f.with_name("queries+rerank.parquet").unlink(), r"queries\+rerank.parquet"),
    "a draw too many": (lambda f: _queries(f, _third_draw), "its draws are not those of the metrics"),
    "no mean": (
        lambda f: _edit(f, map=50, draws=[{k: v for k, v in json.loads(f.read_text()).items() if k in RANKING}]),
        "map is not the mean of its draws",
    ),
}


@pytest.mark.parametrize("known", [False, True], ids=["new", "taken in before"])
@pytest.mark.parametrize("name", BREAKAGES)
def test_a_broken_variant_is_named_and_left_out(project: Project, name: str, known: bool) -> None:
    path = project.variant(KEY, RERANK, BETTER)
    if known:
        assert ingest(project.root).rejected == {}
    damage, reason = BREAKAGES[name]
    damage(path)
    (found,) = ingest(project.root).rejected.items()
    assert found[0] == f"results/runs/{KEY}/metrics+rerank.json"
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(found[1])
    store = read_only(project)
    assert views.protocols(store, "beta") == ["reid-v1"]
    assert views.run(store, KEY) is not None  # its plain scores stand


def test_terminal_and_exports_show_the_plain_protocol_unless_asked(project: Project) -> None:
    scored(project)
    ingest(project.root)
    plain = render_leaderboard(project.root, task="beta")
    assert "protocol reid-v1," in plain
    assert "also scored by reid-v1+rerank: --protocol shows those" in plain
    asked = render_leaderboard(project.root, protocol=RERANK)
    assert "Cluster Contrast" in asked.title()
    assert "Supervised" not in asked
    assert "protocol reid-v1+rerank" in asked
    assert "transductive" in asked
    assert "Protocol reid-v1+rerank on" in render_leaderboard(project.root, "latex", protocol=RERANK)
    rows = json.loads(render_leaderboard(project.root, "json", protocol=RERANK))
    assert RERANK in json.dumps(rows)
    assert RERANK not in render_leaderboard(project.root, "json")
    with pytest.raises(UserError, match=r"no run was scored by 'reid-v1\+flip'"):
        render_leaderboard(project.root, protocol="reid-v1+flip")
