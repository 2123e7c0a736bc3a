"""A dataset without identities, and without anything to evaluate on: adapted, judged without labels, used."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from sklearn.metrics import adjusted_rand_score

from harness.commands.calibrate import calibrate_run
from harness.commands.export import export_run
from harness.data import open_prepared
from harness.data.prepare import prepare
from harness.errors import UserError
from harness.paths import prepared_folder, raw_folder, run_folder
from harness.pipeline.evaluate import evaluate
from harness.pipeline.records import LabelFree
from harness.pipeline.training.train import train
from harness.specs import Pairing, Registry
from harness.store import ingest
from harness.tables.formats import FORMATS
from harness.tables.label_free import COLUMNS, label_free_document, label_free_rows, label_free_table
from tests.pipeline.tiny import TARGET, Tiny, read, silent, write

YARD = Pairing("cluster-contrast", None, "yard", 0)


@pytest.fixture
def project(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The tiny project with a dataset `yard`: the target's training images, their identities unread."""
    root = tmp_path / "project"
    tiny.trained(tiny.pairing("cluster-contrast"))
    for name in ("datasets", "methods", "results"):
        shutil.copytree(tiny.root / name, root / name)
    (root / "dvc.yaml").touch()
    spec = read(root / "datasets" / f"{TARGET}.yaml")
    kept = {name: value for name, value in spec.items() if name not in ("drawn", "expect")}
    layout = {"train": "bounding_box_train", "pattern": r"_c(?P<camera>\d)s"}
    write(root / "datasets" / "yard.yaml", kept | {"name": "yard", "title": "Yard", "starter": False, "layout": layout})
    registry = Registry.load(root).checked()
    shutil.copytree(
        raw_folder(tiny.root, TARGET) / "bounding_box_train", raw_folder(root, "yard") / "bounding_box_train"
    )
    prepare(registry.dataset("yard"), raw_folder(root, "yard"), prepared_folder(root, "yard"), workers=1)
    monkeypatch.chdir(root)
    return registry


def test_it_is_adapted_and_judged_without_an_invented_figure(project: Registry) -> None:
    data = open_prepared(prepared_folder(project.root, "yard"))
    assert (data.has_ids, data.evaluated, data.has_cameras) == (False, False, True)
    assert data.info["splits"]["train"]["ids"] == 0
    train(project, YARD, silent)
    found = evaluate(project, YARD)
    assert isinstance(found, LabelFree)
    assert found.clusters is not None
    assert found.silhouette is not None
    assert found.camera_bias is not None
    folder = run_folder(project.root, YARD.key)
    assert "map" not in json.loads((folder / "metrics.json").read_text())
    history = (folder / "history.csv").read_text().splitlines()
    columns = dict(zip(history[0].split(","), history[-1].split(","), strict=True))
    assert columns["ari"] == columns["target_map"] == ""
    assert columns["clusters"]
    report = ingest(project.root)
    assert not [line for line in report.problems if "yard" in line]
    table = label_free_table(project.root)
    assert YARD.key in table
    assert "No labels, so no mAP" in table
    for form in FORMATS:
        assert YARD.key.replace("_", {"latex": r"\_", "md": r"\_"}.get(form, "_")) in label_free_document(
            project.root, "yard", form
        )
    (row,) = json.loads(label_free_document(project.root, "yard", "json"))[0]["rows"]
    assert (row["clusters"], row["silhouette"], row["between_seeds"]) == (found.clusters, found.silhouette, None)
    assert not label_free_document(project.root, TARGET, "csv")
    with pytest.raises(UserError, match="yard: has no labeled query and gallery, so it cannot say who is the same"):
        list(calibrate_run(YARD.key, None, "yard"))
    with pytest.raises(UserError, match="yard: has no labeled query and gallery, so no mAP can be measured"):
        list(export_run(YARD.key, "safetensors", None, False, 18, measure=True))
    assert not (project.root / "build").exists()
    list(export_run(YARD.key, "safetensors", Path("out"), False, 18, measure=False))
    card = (project.root / "out" / "README.md").read_text(encoding="utf-8")
    assert (
        f"No labeled test images, so no mAP. Of {found.images} training images after the last epoch: clusters" in card
    )
    assert f"clusters {found.clusters}, share of outliers" in card
    assert "has not been evaluated" not in card


def test_seeds_agree_as_their_last_networks_clusters_do(project: Registry) -> None:
    place, clusters = COLUMNS.index("between seeds"), []
    for pairing in (YARD, replace(YARD, seed=1)):
        train(project, pairing, silent)
        evaluate(project, pairing)
        table = pq.read_table(run_folder(project.root, pairing.key) / "queries.parquet")
        clusters.append(table["cluster"].to_numpy())
        if len(clusters) == 1:
            assert label_free_rows(project.root)[0][place] == "–"
    assert len(clusters[0]) == len(open_prepared(prepared_folder(project.root, "yard")).split("train"))
    both = (clusters[0] >= 0) & (clusters[1] >= 0)
    expected = f"{adjusted_rand_score(clusters[0][both], clusters[1][both]):.2f}"
    assert [row[place] for row in label_free_rows(project.root)] == [expected, expected]


def test_the_same_images_with_labels_train_to_the_same_bits(project: Registry, tiny: Tiny) -> None:
    train(project, YARD, silent)
    unlabeled = (run_folder(project.root, YARD.key) / "checkpoint.safetensors").read_bytes()
    labeled = (tiny.trained(tiny.pairing("cluster-contrast")) / "checkpoint.safetensors").read_bytes()
    assert unlabeled[-10_000:] == labeled[-10_000:]


@pytest.mark.parametrize(
    ("method", "source", "said"),
    [
        ("generic", None, "it needs identities, yard has none"),
        ("generic-init", None, "does not train on yard, which has nothing to evaluate it on"),
        ("direct-transfer", TARGET, "does not train on yard, which has nothing to evaluate it on"),
    ],
)
def test_what_needs_labels_is_not_compatible(project: Registry, method: str, source: str | None, said: str) -> None:
    reason = project.incompatible(method, source, "yard")
    assert reason is not None
    assert said in reason
    assert "yard has no identities" in (project.incompatible("cluster-contrast-uda", "yard", TARGET) or "")


def test_three_images_are_too_few_and_it_says_so(project: Registry) -> None:
    folder = raw_folder(project.root, "yard") / "bounding_box_train"
    for path in sorted(folder.iterdir())[3:]:
        path.unlink()
    prepare(project.dataset("yard"), raw_folder(project.root, "yard"), prepared_folder(project.root, "yard"), workers=1)
    with pytest.raises(UserError, match=r"3 images|cluster"):
        train(project, YARD, silent)
    assert not run_folder(project.root, YARD.key).exists()
