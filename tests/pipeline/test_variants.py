"""Variants of the protocol, from images to scores, against what each is by its definition."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest

from harness.data.prepare import prepare
from harness.data.prepared import Prepared, open_prepared
from harness.errors import UserError
from harness.evaluation import evaluate_draws
from harness.evaluation.variants import named
from harness.importing.add import add_dataset
from harness.inputs.images import read_image, resized
from harness.paths import prepared_folder, raw_folder, run_folder
from harness.pipeline.evaluate import evaluate
from harness.pipeline.records import VariantMetrics
from harness.pipeline.trained import read_trained
from harness.pipeline.training.train import train
from harness.pipeline.variants import evaluate_variant, standardized_per_camera
from harness.specs import Pairing, Registry
from harness.store.variant_files import read_variant
from methods.colour_histogram import stripe_histograms
from tests.data.official import MARKET, market, picture, zip_of
from tests.evaluation.test_designs import average_precision
from tests.evaluation.test_reranking import published
from tests.pipeline.tiny import PROJECT, Tiny, read, tiny_method, write

METHOD = "colour-histogram"
Rows = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def run(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> tuple[Tiny, Pairing]:
    """A run of colour histograms, whose features a test computes again; in a project whose spec a test may change."""
    pairing = tiny.pairing(METHOD)
    root = tmp_path_factory.mktemp("variants") / "project"
    own = tiny.fresh(root, pairing)
    (root / "datasets").unlink()
    shutil.copytree(tiny.root / "datasets", root / "datasets")
    own = Tiny.at(root)
    own.trained(pairing)
    return own, pairing


def target(run: tuple[Tiny, Pairing]) -> Prepared:
    return open_prepared(prepared_folder(run[0].root, run[1].target))


def features(data: Prepared, mirror: bool = False) -> list[Rows]:
    return [stripe_histograms(data.split(name).images[:, :, :: -1 if mirror else 1]) for name in ("query", "gallery")]


def scores(run: tuple[Tiny, Pairing], steps: str = "", designs: str = "", root: Path | None = None) -> VariantMetrics:
    """Score the run by a variant, as the store reads it."""
    tiny, pairing = run
    variant = named(filter(None, steps.split(",")), filter(None, designs.split(",")))
    metrics = evaluate_variant(Registry.load(root or tiny.root), pairing, variant)
    folder = run_folder(root or tiny.root, pairing.key)
    stored, _ = read_variant(folder / f"metrics{variant.suffix}.json", read_trained(folder))
    assert stored.sha256
    assert stored.model_copy(update={"sha256": ""}) == metrics
    return metrics


def queries(run: tuple[Tiny, Pairing], suffix: str) -> dict[str, list[object]]:
    return pq.read_table(run_folder(run[0].root, run[1].key) / f"queries{suffix}.parquet").to_pydict()


def mean_ap(similarity: Rows, data: Prepared) -> float:
    """mAP in percent by a loop over the queries."""
    query, gallery = data.split("query"), data.split("gallery")
    found = []
    for row, identity, camera in zip(similarity, query.ids, query.cameras, strict=True):
        same = gallery.ids == identity
        found.append(average_precision(row, same, ~(same & (gallery.cameras == camera))))
    return 100 * float(np.mean([value for value in found if value is not None]))


def unit(rows: Rows) -> Rows:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_reranking(run: tuple[Tiny, Pairing]) -> None:
    found, data = scores(run, "rerank"), target(run)
    query, gallery = features(data)
    assert found.map == pytest.approx(mean_ap(-published(query, gallery, 20, 6, 0.3), data))
    assert (found.transductive, found.test_cameras, found.protocol) == (True, False, "reid-v1+rerank")
    assert found.parameters == {"k1": 20, "k2": 6, "lambda": 0.3}
    assert found.gallery == len(data.split("gallery"))


def test_the_mean_with_mirror_images(run: tuple[Tiny, Pairing]) -> None:
    found, data = scores(run, "flip"), target(run)
    query, gallery = (unit(a + b) for a, b in zip(features(data), features(data, mirror=True), strict=True))
    assert found.map == pytest.approx(mean_ap(query @ gallery.T, data))
    assert not found.transductive


def test_features_standardized_per_camera(run: tuple[Tiny, Pairing]) -> None:
    found, data = scores(run, "camnorm"), target(run)
    cameras = np.concatenate([data.split(name).cameras for name in ("query", "gallery")])
    whole = np.concatenate(features(data)).astype(np.float64)
    for camera in set(cameras.tolist()):
        own = whole[cameras == camera]
        deviation = own.std(axis=0)
        deviation[deviation == 0] = 1
        whole[cameras == camera] = (own - own.mean(axis=0)) / deviation
    rows = unit(whole.astype(np.float32))
    query, gallery = rows[: len(data.split("query"))], rows[len(data.split("query")) :]
    assert found.map == pytest.approx(mean_ap(query @ gallery.T, data))
    assert (found.transductive, found.test_cameras) == (True, True)
    both = scores(run, "rerank,camnorm")
    assert both.protocol == "reid-v1+camnorm+rerank"
    assert both.map == pytest.approx(mean_ap(-published(query, gallery, 20, 6, 0.3), data))


def test_the_plain_files_stay_as_they_are(run: tuple[Tiny, Pairing]) -> None:
    folder = run_folder(run[0].root, run[1].key)
    evaluate(run[0].registry, run[1])
    before = {name: (folder / name).read_bytes() for name in ("metrics.json", "queries.parquet", "record.json")}
    scores(run, "rerank")
    assert {name: (folder / name).read_bytes() for name in before} == before


def pooled(data: Prepared) -> tuple[Rows, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    splits = [data.split(name) for name in ("query", "gallery")]
    return (
        np.concatenate(features(data)),
        np.concatenate([split.ids for split in splits]),
        np.concatenate([split.cameras for split in splits]),
    )


def test_leave_one_out_is_the_loop(run: tuple[Tiny, Pairing]) -> None:
    found, (rows, ids, cameras) = scores(run, designs="leave-one-out"), pooled(target(run))
    wanted = []
    for query in np.flatnonzero(ids > 0):  # distractors are in every gallery, and no query
        same = ids == ids[query]
        wanted.append(average_precision(rows @ rows[query], same, ~(same & (cameras == cameras[query]))))
    stated = queries(run, "+leave-one-out")
    assert stated["ap"] == pytest.approx(wanted)
    assert found.gallery == len(ids)
    assert found.queries + found.queries_without_match == (ids > 0).sum()


def test_random_draws_are_averaged(run: tuple[Tiny, Pairing]) -> None:
    found, (rows, ids, cameras) = scores(run, designs="draws"), pooled(target(run))
    expected = evaluate_draws(rows, ids, cameras, draws=10, seed=0, distractor_ids=(0,))
    assert [draw.map for draw in found.draws] == pytest.approx([100 * draw.map for draw in expected.draws])
    assert found.map == pytest.approx(100 * expected.map)
    assert found.parameters == {"draws": 10, "gallery_images": 1, "seed": 0}
    identities = len(set(ids[ids > 0].tolist()))
    assert {draw.gallery for draw in found.draws} == {identities + (ids == 0).sum()}
    assert set(queries(run, "+draws")["draw"]) == set(range(10))


def declared(run: tuple[Tiny, Pairing], evaluation: dict[str, object]) -> Path:
    """Let the target's spec declare what designs need; return the project."""
    root, name = run[0].root, run[1].target
    write(root / "datasets" / f"{name}.yaml", read(root / "datasets" / f"{name}.yaml") | {"evaluation": evaluation})
    return root


def test_sessions_take_the_place_of_cameras(run: tuple[Tiny, Pairing]) -> None:
    plain = evaluate(run[0].registry, run[1])
    declared(run, {"session": r"_(?P<session>c\d)s"})
    as_cameras = scores(run, designs="sessions")
    assert as_cameras.map == pytest.approx(plain.map)  # type: ignore[union-attr]
    declared(run, {"session": r"(?P<session>[^/]+)$", "draws": 3, "gallery_images": 2})  # every image its own
    found, data = scores(run, designs="sessions"), target(run)
    query, gallery = features(data)
    wanted = [average_precision(gallery @ row, data.split("gallery").ids == identity, np.ones(len(gallery), bool))
              for row, identity in zip(query, data.split("query").ids, strict=True)]  # fmt: skip
    assert found.map == pytest.approx(100 * np.mean([value for value in wanted if value is not None]))
    rows, ids, _ = pooled(data)
    drawn = scores(run, designs="draws,sessions")
    expected = evaluate_draws(rows, ids, np.arange(len(ids)), draws=3, gallery_images=2, distractor_ids=(0,))
    assert drawn.map == pytest.approx(100 * expected.map)
    declared(run, {"session": r"(?P<session>tuesday)"})
    with pytest.raises(UserError, match=r"query/.*: evaluation.session, .*, finds no session in this path"):
        scores(run, designs="sessions")


@pytest.mark.parametrize(
    ("steps", "designs", "said"),
    [
        ("", "multi-query", "evaluation: multi_query: name the folder"),
        ("", "sessions", "evaluation: session: state the pattern"),
    ],
)
def test_what_a_dataset_does_not_declare_is_asked_for(
    run: tuple[Tiny, Pairing], steps: str, designs: str, said: str
) -> None:
    declared(run, {})
    with pytest.raises(UserError, match=rf"datasets/drawn-summer.yaml: {said}"):
        scores(run, steps, designs)


def test_cameras_that_cannot_be_standardized_are_named() -> None:
    rows = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    with pytest.raises(UserError, match="camera 7 has 1 test image"):
        standardized_per_camera(rows, np.array([1, 1, 7, 1, 1]))
    with pytest.raises(UserError, match="the camera of 2 test images is not known"):
        standardized_per_camera(rows, np.array([1, 1, -1, -1, 1]))
    rows[:, 1] = 4
    assert (standardized_per_camera(rows, np.ones(5, int))[:, 1] == 0).all()


SPEC = {
    "name": "mini", "title": "Mini Market", "kind": "person", "regime": "drawn", "starter": False,
    "image": {"height": 32, "width": 16}, "junk_ids": [-1], "distractor_ids": [0], "sources": [],
    "evaluation": {"multi_query": "gt_bbox"}, "access": {"homepage": "none", "license": "none"}, "citation": "none",
}  # fmt: skip


def test_several_images_stand_for_a_query_of_an_official_archive(tmp_path: Path) -> None:
    """Market-1501's archive as it is distributed, with a gt_bbox of more images of the queries, and of others."""
    source, root = market(tmp_path / "source"), tmp_path / "project"
    for name in (
        "0001_c1s1_001076_00.jpg",
        "0003_c6s4_015641_00.jpg",
        "0003_c6s4_015666_00.jpg",
        "0009_c2s1_000101_00.jpg",
    ):
        picture(source / "gt_bbox" / name)
    (root / "datasets").mkdir(parents=True)
    (root / "methods").mkdir()
    write(root / "methods" / f"{METHOD}.yaml", tiny_method(METHOD))
    layout = read(PROJECT / "datasets" / "market1501.yaml")["layout"]
    write(root / "datasets" / "mini.yaml", SPEC | {"layout": layout})
    registry = Registry.load(root).checked()
    add_dataset(registry.dataset("mini"), zip_of(source, tmp_path / "Market.zip"), root, workers=1)
    prepare(registry.dataset("mini"), raw_folder(root, "mini"), prepared_folder(root, "mini"), workers=1)
    pairing = Pairing(METHOD, None, "mini", 0)
    train(registry, pairing, lambda line: None)
    plain = evaluate(registry, pairing)
    found = evaluate_variant(registry, pairing, named(design=["multi-query"]))
    assert (found.protocol, found.queries, found.gallery) == (
        "reid-v1+multi-query",
        2,
        len(MARKET["bounding_box_test"]) - 2,
    )
    data = open_prepared(prepared_folder(root, "mini"))
    stated = pq.read_table(run_folder(root, pairing.key) / "queries+multi-query.parquet").to_pydict()
    assert stated["path"] == data.split("query").paths
    more = sorted((raw_folder(root, "mini") / "gt_bbox").glob("*.jpg"))
    assert len(more) == 5
    rows = stripe_histograms(np.stack([resized(read_image(path)[0], 32, 16) for path in more]))
    gallery = stripe_histograms(data.split("gallery").images)
    for number, (identity, camera) in enumerate(((1, 1), (3, 6))):
        own = [path.name.startswith(f"{identity:04d}_c{camera}") for path in more]
        same = data.split("gallery").ids == identity
        kept = ~(same & (data.split("gallery").cameras == camera))
        assert stated["ap"][number] == pytest.approx(average_precision(gallery @ rows[own].mean(axis=0), same, kept))
    assert json.loads((run_folder(root, pairing.key) / "metrics.json").read_text())["map"] == plain.map  # type: ignore[union-attr]
    (raw_folder(root, "mini") / "gt_bbox" / "0003_c6s4_015641_00.jpg").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"gt_bbox/0003_c6s4_015641_00\.jpg: "):
        evaluate_variant(registry, pairing, named(design=["multi-query"]))
    for path in more:
        if path.name.startswith("0003"):
            path.unlink()
    with pytest.raises(UserError, match="query 1: no multi-query image shows identity 3 under camera 6"):
        evaluate_variant(registry, pairing, named(design=["multi-query"]))
