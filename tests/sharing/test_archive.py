"""Results that travel: what was tampered with is refused whole, and what is taken in never looks like one's own."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.errors import UserError
from harness.paths import foreign_key, imported_folder, result_folder, run_folder
from harness.sharing.archive import MANIFEST, export_runs, import_archive
from harness.specs import Registry
from harness.store import ingest, open_store, views
from harness.store.database import database_url
from harness.store.lists import read_queries, with_lists
from tests.store.factory import Project, reseal, sha256

KEY, OTHER = "cluster-contrast__beta__s0", "cluster-contrast__beta__s1"
RERANK = "reid-v1+rerank"


@pytest.fixture
def archive(project: Project, tmp_path: Path) -> Path:
    """Two runs as another lab gives them."""
    return export_runs(Registry.load(project.root), [KEY, OTHER], tmp_path / "theirs.tar", False, "vision-lab")


def members(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as file:
        return {member.name: file.extractfile(member).read() for member in file.getmembers()}  # type: ignore[union-attr]


def write(archive: Path, content: dict[str, bytes], honest: bool = True) -> Path:
    """Write an archive whose manifest states the files as they are, as a forger would."""
    if honest:
        manifest = json.loads(content[MANIFEST])
        manifest["files"] = {name: digest(data) for name, data in content.items() if name != MANIFEST}
        content = content | {MANIFEST: json.dumps(manifest).encode()}
    with tarfile.open(archive, "w") as file:
        for name, data in content.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            file.addfile(member, io.BytesIO(data))
    return archive


def digest(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()


def test_what_was_taken_in_stands_beside_ones_own_under_the_name_of_its_lab(project: Project, archive: Path) -> None:
    ingest(project.root)
    before = {row.method: row for row in views.leaderboard(open_store(database_url(project.root), True), "beta")}
    assert import_archive(project.root, archive, "", False) == [KEY, OTHER]
    assert import_archive(project.root, archive, "", False) == []  # they are here already
    report = ingest(project.root)
    theirs = foreign_key(KEY, "vision-lab")
    assert (report.problems, sorted(report.added)) == ([], [theirs, foreign_key(OTHER, "vision-lab")])
    store = open_store(database_url(project.root), read_only=True)
    after = {row.method: row for row in views.leaderboard(store, "beta")}
    row = after.pop("cluster-contrast.from.vision-lab")
    assert (row.title, row.seeds) == ("Cluster Contrast, from vision-lab", (0, 1))
    assert "recomputed here" in row.origin
    for name, mine in before.items():  # own rows are as they were
        assert (after[name].seeds, after[name].scores, after[name].origin) == (mine.seeds, mine.scores, "")
    assert theirs in with_lists(project.root)
    assert len(read_queries(project.root, theirs)) == 200
    assert views.own_runs(store)["beta"] == 9


def test_scores_by_a_variant_of_the_protocol_travel_and_are_recomputed(project: Project, tmp_path: Path) -> None:
    project.variant(KEY, RERANK, "supervised__beta__s0")
    archive = export_runs(Registry.load(project.root), [KEY], tmp_path / "x.tar", False, "vision-lab")
    content = members(archive)
    name = f"runs/{KEY}/metrics+rerank.json"
    metrics = json.loads(content[name])
    better_one = content | {name: json.dumps(metrics | {"map": metrics["map"] + 0.5}).encode()}
    with pytest.raises(UserError, match="gives an mAP of"):
        import_archive(project.root, write(tmp_path / "y.tar", better_one), "", False)
    assert import_archive(project.root, archive, "", False) == [KEY]
    assert ingest(project.root).problems == []
    store = open_store(database_url(project.root), read_only=True)
    assert [found.protocol for found in views.variants(store, foreign_key(KEY, "vision-lab"))] == [RERANK]
    (row,) = [row for row in views.leaderboard(store, "beta", protocol=RERANK) if "from" in row.method]
    assert row.title == "Cluster Contrast, from vision-lab"


def test_an_archive_tells_of_no_user_and_carries_the_specs(archive: Path) -> None:
    with tarfile.open(archive) as file:
        assert {(member.uid, member.uname, member.mtime) for member in file.getmembers()} == {(0, "", 0)}
    assert {"specs/methods/cluster-contrast.yaml", "specs/datasets/beta.yaml"} <= members(archive).keys()


def test_a_run_that_is_not_finished_is_not_exported(project: Project, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not finished here; run: harness run uda"):
        export_runs(Registry.load(project.root), ["uda-baseline__alpha-to-beta__s0"], tmp_path / "x.tar", False, "")
    assert not (tmp_path / "x.tar").exists()


def forged(change: Callable[[Path], None]) -> Callable[[dict[str, bytes], Path], dict[str, bytes]]:
    """Alter a run's folder, let its documents vouch for it, and return the archive's content."""

    def forge(content: dict[str, bytes], folder: Path) -> dict[str, bytes]:
        folder.mkdir(parents=True)
        here = f"runs/{KEY}/"
        for name, data in content.items():
            if name.startswith(here):
                (folder / name.removeprefix(here)).write_bytes(data)
        change(folder)
        reseal(folder)
        return content | {here + path.name: path.read_bytes() for path in folder.iterdir()}

    return forge


def better(folder: Path, name: str, by: float) -> None:
    metrics = json.loads((folder / "metrics.json").read_text())
    (folder / "metrics.json").write_text(json.dumps(metrics | {name: min(100, metrics[name] + by)}))


def column(folder: Path, name: str, change: Callable[[list[Any]], list[Any]]) -> None:
    table = pq.ParquetFile(folder / "queries.parquet").read()
    values = pa.array(change(table[name].to_pylist()), table.schema.field(name).type)
    pq.write_table(table.set_column(table.column_names.index(name), name, values), folder / "queries.parquet")


FORGERIES: dict[str, tuple[Callable[[Path], None], str]] = {
    "mAP": (lambda folder: better(folder, "map", 0.5), "gives an mAP of"),
    "CMC": (lambda folder: better(folder, "rank1", 0.5), "gives a Rank-1 of"),
    "mINP": (lambda folder: better(folder, "minp", 0.5), "gives an mINP of"),
    "AP": (lambda folder: column(folder, "ap", lambda ap: [1.0, *ap[1:]]), "AP or first hit of a query do not follow"),
    "ranks": (
        lambda folder: column(folder, "match_ranks", lambda ranks: [[1, 2, 3, 4, 5], *ranks[1:]]),
        "do not follow from its ranks",
    ),
    "list": (
        lambda folder: column(folder, "correct", lambda lists: [[True] * len(lists[0]), *lists[1:]]),
        "the ranked list of query 0 cannot be",
    ),
}


@pytest.mark.parametrize("what", FORGERIES)
def test_scores_that_do_not_follow_are_refused_whoever_vouches_for_them(
    project: Project, archive: Path, tmp_path: Path, what: str
) -> None:
    change, message = FORGERIES[what]
    content = forged(change)(members(archive), tmp_path / "forged" / KEY)
    with pytest.raises(UserError, match=message):
        import_archive(project.root, write(archive, content), "", False)
    assert list(imported_folder(project.root).iterdir()) == []


def test_files_that_the_manifest_does_not_state_are_refused(project: Project, archive: Path) -> None:
    content = members(archive)
    name = f"runs/{KEY}/metrics.json"
    for altered, message in (
        (content | {name: content[name] + b" "}, "is not the file that the manifest states"),
        (content | {f"runs/{KEY}/checkpoint.pth": b"\x80\x04."}, "other files than its manifest"),
        ({key: data for key, data in content.items() if key != name}, "other files than its manifest"),
        ({key: data for key, data in content.items() if key != MANIFEST}, "has no manifest.json"),
    ):
        with pytest.raises(UserError, match=message):
            import_archive(project.root, write(archive, altered, honest=False), "", False)
    for name in (f"runs/{KEY}/checkpoint.pth", "runs/else/metrics.json", "specs/methods/x.py"):
        with pytest.raises(UserError, match="no file of a result"):
            import_archive(project.root, write(archive, content | {name: b"x"}), "", False)
    with pytest.raises(UserError, match="leads out of the folder"):
        import_archive(project.root, write(archive, content | {"../../evil": b"x"}), "", False)
    assert list(imported_folder(project.root).iterdir()) == []


def test_another_result_of_the_same_run_is_taken_only_when_asked(
    project: Project, archive: Path, tmp_path: Path
) -> None:
    import_archive(project.root, archive, "", False)
    project.run(KEY, 0.7)
    better_one = export_runs(Registry.load(project.root), [KEY], tmp_path / "again.tar", False, "vision-lab")
    with pytest.raises(UserError, match=r"another result of .* --replace"):
        import_archive(project.root, better_one, "", False)
    assert import_archive(project.root, better_one, "", True) == [KEY]
    theirs = result_folder(project.root, foreign_key(KEY, "vision-lab"))
    assert sha256(theirs / "metrics.json") == sha256(run_folder(project.root, KEY) / "metrics.json")


def test_what_lies_there_altered_afterwards_is_rejected(project: Project, archive: Path) -> None:
    import_archive(project.root, archive, "friends", False)
    better(imported_folder(project.root) / "friends" / KEY, "map", 0.5)
    (problem,) = ingest(project.root).problems
    assert problem.startswith(f"results/imported/friends/{KEY}: ")
    assert "mAP" in problem


@pytest.mark.parametrize("name", ["../up", "Big Lab", "a-to-b", ""])
def test_a_labs_name_must_do_in_a_key(project: Project, archive: Path, tmp_path: Path, name: str) -> None:
    if name:
        with pytest.raises(UserError, match="the lab's name"):
            import_archive(project.root, archive, name, False)
    else:
        assert import_archive(project.root, archive, name, False)
