"""Features of a method that was trained elsewhere: scored as any other, and never taken for a run of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.data import open_prepared
from harness.errors import UserError
from harness.evaluation import evaluate_ranking
from harness.paths import foreign_key, imported_folder, prepared_folder, result_folder
from harness.sharing.archive import check_labels, export_runs, import_archive
from harness.sharing.submission import Submission, submit_features
from harness.specs import Registry
from harness.store import ingest, open_store, views
from harness.store.database import database_url
from harness.store.run_files import read_run
from tests.pipeline.conftest import tiny
from tests.pipeline.tiny import TARGET, Tiny
from tests.sharing.test_archive import column
from tests.store.factory import reseal

__all__ = ["tiny"]

KEY = f"swin-reid__{TARGET}__s0"
OURS = Submission("swin-reid", "vision-lab", "usl", TARGET, note="weights: example.org")


@pytest.fixture
def root(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own whose target is prepared."""
    monkeypatch.delenv("HARNESS_DATABASE_URL", raising=False)
    root = tmp_path / "project"
    root.mkdir()
    for name in ("datasets", "methods", "data"):
        (root / name).symlink_to(tiny.root / name)
    return root


class Given:
    """Features of query and gallery, and the files that they are given in."""

    def __init__(self, root: Path, folder: Path) -> None:
        target = open_prepared(prepared_folder(root, TARGET))
        self.splits = target.split("query"), target.split("gallery")
        random = np.random.default_rng(0)
        self.features = [random.normal(size=(len(split), 8)).astype(np.float32) for split in self.splits]
        self.folder = folder

    def file(self, which: int, kind: str = "parquet", paths: Any = None, features: Any = None) -> Path:
        paths = self.splits[which].paths if paths is None else paths
        features = self.features[which] if features is None else features
        order = np.random.default_rng(1).permutation(len(paths))
        names, rows = [paths[i] for i in order], features[order]
        path = self.folder / f"{which}.{kind}"
        if kind == "h5":
            h5py = pytest.importorskip("h5py")
            with h5py.File(path, "w") as file:
                file["embeddings"] = rows
                file.create_dataset("paths", data=names, dtype=h5py.string_dtype())
        else:
            pq.write_table(pa.table({"path": names, "feature": list(rows)}), path)
        return path


@pytest.fixture
def given(root: Path, tmp_path: Path) -> Given:
    return Given(root, tmp_path)


@pytest.mark.parametrize("kind", ["parquet", "h5"])
def test_the_scores_are_those_of_the_protocol_whatever_the_order(root: Path, given: Given, kind: str) -> None:
    folder = submit_features(Registry.load(root), OURS, given.file(0, kind), given.file(1, kind), False)
    query, gallery = given.splits
    rows = given.features
    expected = evaluate_ranking(rows[0], rows[1], query.ids, gallery.ids, query.cameras, gallery.cameras)
    result = read_run(folder)
    assert result.metrics.map == pytest.approx(100 * expected.map)
    assert result.metrics.minp == pytest.approx(100 * expected.minp)
    assert result.record.notes == ("only the evaluation is ours: 8 numbers per image, given by vision-lab", OURS.note)
    assert folder == imported_folder(root) / "vision-lab" / KEY
    assert ingest(root).problems == []
    board = views.leaderboard(open_store(database_url(root), read_only=True), TARGET)
    (row,) = [row for row in board if row.method == "swin-reid.from.vision-lab"]
    assert row.origin == "trained by vision-lab; only the evaluation is ours, of features that it gave"
    assert row.title == "swin-reid, from vision-lab"
    assert row.stale == ""
    with pytest.raises(UserError, match=r"another result of .*--replace"):
        submit_features(Registry.load(root), OURS, given.file(0), given.file(1, features=-given.features[1]), False)


def test_names_without_folders_will_do(root: Path, given: Given) -> None:
    files = [given.file(i, paths=[Path(path).name for path in given.splits[i].paths]) for i in (0, 1)]
    submit_features(Registry.load(root), OURS, files[0], files[1], False)


def test_features_of_other_images_are_refused(root: Path, given: Given, tmp_path: Path) -> None:
    query, gallery = given.splits
    features = given.features[1]
    broken = features.copy()
    broken[3, 2] = np.nan
    zero = features.copy()
    zero[5] = 0
    for change, message in (
        ({"paths": query.paths, "features": given.features[0]}, f"the gallery of drawn-summer has {len(gallery)}: "),
        ({"paths": gallery.paths[:-1], "features": features[:-1]}, ": 1 missing, like "),
        ({"paths": [*gallery.paths[:-1], gallery.paths[0]]}, "stands in it twice"),
        ({"features": broken}, f"the feature of '{gallery.paths[3]}' is not finite"),
        ({"features": zero}, f"the feature of '{gallery.paths[5]}' is zero"),
        ({"features": features[:, :7]}, "not of one network"),
    ):
        with pytest.raises(UserError, match=message):
            submit_features(Registry.load(root), OURS, given.file(0), given.file(1, **change), False)
    (tmp_path / "x.parquet").write_bytes(b"no table")
    (tmp_path / "x.npy").touch()
    pq.write_table(pa.table({"name": ["a"]}), tmp_path / "y.parquet")
    for name, message in (
        ("x.parquet", "holds no features"), ("y.parquet", "columns path and feature"),
        ("x.npy", "features are a .parquet or .h5 file"), ("z.parquet", "no such file"),
    ):  # fmt: skip
        with pytest.raises(UserError, match=message):
            submit_features(Registry.load(root), OURS, given.file(0), tmp_path / name, False)
    assert not imported_folder(root).exists() or list(imported_folder(root).iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [({"method": "A b"}, "not a valid name"), ({"lab": "A b"}, "the lab's name"), ({"target": "gamma"}, "no dataset"),
     ({"setting": "uda"}, "needs --source"), ({"source": "alpha"}, "has no --source")],
)  # fmt: skip
def test_what_else_can_be_wrong(root: Path, given: Given, change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        submit_features(Registry.load(root), OURS._replace(**change), given.file(0), given.file(1), False)


def test_lists_that_do_not_fit_the_labels_here_are_refused(root: Path, given: Given, tmp_path: Path) -> None:
    """Every score follows from the ranks, but the dataset is here, and what is right in it is known."""
    folder = submit_features(Registry.load(root), OURS, given.file(0), given.file(1), False)
    check_labels(root, read_run(folder), folder / "queries.parquet")
    (root / "results" / "runs").mkdir()
    folder.rename(root / "results" / "runs" / folder.name)
    own = root / "results" / "runs" / folder.name
    archive = export_runs(Registry.load(root), [own.name], tmp_path / "x.tar", False, "friends")
    assert import_archive(root, archive, "", False) == [own.name]
    column(own, "identity", lambda ids: [ids[0] + 1, *ids[1:]])
    reseal(own)
    archive = export_runs(Registry.load(root), [own.name], tmp_path / "y.tar", False, "foes")
    with pytest.raises(UserError, match="its queries are not those of drawn-summer; nothing was taken in"):
        import_archive(root, archive, "", False)
    assert not result_folder(root, foreign_key(KEY, "foes")).exists()
