"""A trained run scored by a variant of the protocol: another design, or steps between features and ranking."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

from harness.data.prepared import Prepared, open_prepared
from harness.data.reading import read_folder
from harness.errors import UserError
from harness.evaluation import RankingResult, evaluate_distances, evaluate_ranking, rerank
from harness.evaluation.designs import leave_one_out_marks, mean_of_each, random_splits
from harness.evaluation.matching import UNKNOWN_CAMERA, Index
from harness.evaluation.reranking import K1, K2, LAMBDA
from harness.evaluation.variants import Variant
from harness.inputs.images import ImageError, read_image, resized
from harness.inputs.json import sealed
from harness.inputs.patterns import Pattern
from harness.learning.algorithm import algorithm_class
from harness.learning.data import UnlabeledSet
from harness.learning.device import choose_device
from harness.learning.extract import Embedder, mean
from harness.learning.normalization import IMAGENET, Normalization
from harness.learning.out_of_memory import explained
from harness.matrix import Matrix, as_matrix
from harness.paths import prepared_folder, raw_folder, replacing, run_folder, write_text
from harness.pipeline.evaluate import TOP_K, checked_run, query_columns
from harness.pipeline.records import DRAW, Ranking, VariantMetrics
from harness.specs.dataset import DatasetSpec
from harness.specs.pairing import Pairing
from harness.specs.registry import Registry

Pixels = npt.NDArray[np.uint8]

CHUNK = 2048
"""Images read, or mirrored, at a time."""
SEED = 0
"""Of the random draws: the same for every run, so that all are scored on the same splits."""
LEAST = 2
"""Images of a camera without which nothing of it can be told from the one."""


@dataclass(frozen=True)
class Images:
    """Test images: features [N, d], identities and cameras [N], paths; `marks`: whose equals are left out, or None."""

    features: Matrix
    ids: Index
    cameras: Index
    marks: npt.NDArray[Any] | None
    paths: npt.NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.ids)

    def at(self, index: Index) -> Images:
        """Return some of the images."""
        marks = None if self.marks is None else self.marks[index]
        return Images(self.features[index], self.ids[index], self.cameras[index], marks, self.paths[index])

    def followed_by(self, other: Images) -> Images:
        """Return these images and then the others."""
        marks = None if self.marks is None or other.marks is None else np.concatenate([self.marks, other.marks])
        return Images(
            np.concatenate([self.features, other.features]), np.concatenate([self.ids, other.ids]),
            np.concatenate([self.cameras, other.cameras]), marks, np.concatenate([self.paths, other.paths]),
        )  # fmt: skip


def evaluate_variant(registry: Registry, pairing: Pairing, variant: Variant) -> VariantMetrics:
    """Score the run's last epoch by `variant`; write `metrics+<variant>.json` and `queries+<variant>.parquet`.

    Raises UserError if the run is not trained or damaged, or its target has not what the variant needs.
    """
    begun = time.perf_counter()
    folder = run_folder(registry.root, pairing.key)
    tensors, run, method = checked_run(folder, pairing.key)
    spec, target = registry.dataset(pairing.target), open_prepared(prepared_folder(registry.root, pairing.target))
    _check(spec, target, variant)
    device = choose_device()
    with explained(method.compute, device):
        plain = algorithm_class(method.algorithm, folder / "record.json").embedder(method.compute, tensors, device)
        normalization = run.record.input.normalization if run.record.input else IMAGENET

        def embed(images: Pixels) -> Matrix:
            return embedded(plain, images, device, normalization, "flip" in variant)

        query, gallery = (_split(spec, target, name, embed, variant) for name in ("query", "gallery"))
        if "multi-query" in variant:
            more = _further_images(registry, spec, embed)
            query = replace(query, features=mean_of_each(query.ids, query.cameras, *more))
        tables, rankings = [], []
        for draw, (asked, searched, kept) in enumerate(_rankings(spec, target, variant, query, gallery)):
            result = _ranked(variant, asked, searched, TOP_K if kept else 0, device)
            columns, _ = query_columns(result, list(asked.paths), asked.ids, asked.cameras, searched.ids)
            columns[DRAW] = pa.array(np.full(len(asked), draw), pa.int32())
            tables.append(pa.table(columns))
            rankings.append(_scores(result, len(searched)))
    path = folder / f"queries{variant.suffix}.parquet"
    with replacing(path) as partial:
        pq.write_table(pa.concat_tables(tables), partial, compression="zstd")
        queries_sha256 = hashlib.sha256(partial.read_bytes()).hexdigest()
    metrics = VariantMetrics(
        **averaged(rankings).model_dump(), draws=tuple(rankings) if len(rankings) > 1 else (),
        protocol=variant.protocol, transductive=variant.transductive, test_cameras=variant.test_cameras,
        parameters=_parameters(spec, variant), record_sha256=run.record_sha256,
        checkpoint_sha256=run.record.checkpoint_sha256, queries_sha256=queries_sha256,
        seconds=time.perf_counter() - begun,
    )  # fmt: skip
    write_text(folder / f"metrics{variant.suffix}.json", sealed(metrics))
    return metrics


def _check(spec: DatasetSpec, target: Prepared, variant: Variant) -> None:
    """Raise UserError unless the target has what the variant needs, before anything is computed."""
    place = f"datasets/{spec.name}.yaml: evaluation"
    if not target.evaluated:
        raise UserError(f"{spec.name} has no labeled test images, so there is nothing to score")
    if variant.test_cameras and not target.has_cameras:
        raise UserError(f"{spec.name} has no camera labels, which camnorm needs")
    if "multi-query" in variant and spec.evaluation.multi_query is None:
        raise UserError(f"{place}: multi_query: name the folder of the images that stand for the queries")
    if "multi-query" in variant and not target.has_cameras:
        raise UserError(f"{spec.name} has no camera labels: multi-query pools images of one identity and camera")
    if "sessions" in variant and spec.evaluation.session is None:
        raise UserError(f"{place}: session: state the pattern that reads the session or track off an image's path")


def embedded(
    embed: Embedder, images: Pixels, device: torch.device, normalization: Normalization, mirrored: bool
) -> Matrix:
    """Return the features of images [N, H, W, 3]; if `mirrored`, their mean with those of their mirror images."""

    def features(pixels: Pixels) -> torch.Tensor:
        unknown = np.full(len(pixels), UNKNOWN_CAMERA)
        return torch.as_tensor(embed(UnlabeledSet(pixels, unknown, device, normalization)))

    found = features(images)
    if mirrored:
        starts = range(0, len(images), CHUNK)
        other = [features(np.ascontiguousarray(images[start : start + CHUNK, :, ::-1])) for start in starts]
        found = mean([found, torch.cat(other)])
    return as_matrix(found, "features")


def _split(
    spec: DatasetSpec, target: Prepared, name: str, embed: Callable[[Pixels], Matrix], variant: Variant
) -> Images:
    split = target.split(name)
    features = embed(split.images)
    marks: npt.NDArray[Any] | None = split.cameras if target.has_cameras else None
    if "sessions" in variant and spec.evaluation.session is not None:
        marks = _sessions(spec.evaluation.session, split.paths)
    return Images(features, split.ids, split.cameras, marks, np.array(split.paths, object))


def _sessions(pattern: str, paths: list[str]) -> npt.NDArray[np.str_]:
    found = [(Pattern(pattern).search(path) or {}).get("session") for path in paths]
    if None in found:
        raise UserError(f"{paths[found.index(None)]}: evaluation.session, {pattern!r}, finds no session in this path")
    return np.array(found, np.str_)


def _further_images(
    registry: Registry, spec: DatasetSpec, embed: Callable[[Pixels], Matrix]
) -> tuple[Matrix, Index, Index]:
    """Features, identities and cameras of the images that stand for the queries, some in memory at a time."""
    root = raw_folder(registry.root, spec.name)
    records = read_folder(spec, root, spec.evaluation.multi_query or "")
    if not records:
        raise UserError(f"{root / (spec.evaluation.multi_query or '')}: no images")
    parts = []
    for start in range(0, len(records), CHUNK):
        chunk = records[start : start + CHUNK]
        size = spec.image.height, spec.image.width
        parts.append(embed(np.stack([resized(_image(root, record.path), *size) for record in chunk])))
    ids, cameras = (np.array([getattr(record, name) for record in records]) for name in ("id", "camera"))
    return np.concatenate(parts), ids, cameras


def _image(root: Path, path: Path) -> Image.Image:
    try:
        return read_image(root / path)[0]
    except ImageError as error:
        raise UserError(f"{root / path}: {error}") from None


def _rankings(
    spec: DatasetSpec, target: Prepared, variant: Variant, query: Images, gallery: Images
) -> Iterator[tuple[Images, Images, bool]]:
    """Yield queries and gallery of each ranking, and whether its lists are worth keeping: a draw's gallery is not."""
    if not {"leave-one-out", "draws"} & set(variant.parts):
        yield query, gallery, True
        return
    contents = np.array([*target.contents("query"), *target.contents("gallery")])
    everything = query.followed_by(gallery)
    both = np.array([f"{content} {identity}" for content, identity in zip(contents, everything.ids, strict=True)])
    everything = everything.at(np.sort(np.unique(both, return_index=True)[1]))  # VeRi-776's gallery holds its queries
    if "leave-one-out" in variant:
        marks = leave_one_out_marks(everything.marks, len(everything))
        everything = replace(everything, marks=marks)
        queries = np.flatnonzero(~np.isin(everything.ids, spec.distractor_ids))
        yield everything.at(queries), everything, True
        return
    design = spec.evaluation
    for asked, searched in random_splits(
        everything.ids, design.draws, design.gallery_images, SEED, spec.distractor_ids
    ):
        yield everything.at(asked), everything.at(searched), False


def _ranked(variant: Variant, query: Images, gallery: Images, top_k: int, device: torch.device) -> RankingResult:
    asked: Any
    searched: Any
    asked, searched = query.features, gallery.features
    if "camnorm" in variant:
        everything = query.followed_by(gallery)
        both = standardized_per_camera(everything.features, everything.cameras)
        asked, searched = both[: len(query)], both[len(query) :]
    labels = query.ids, gallery.ids, query.marks, gallery.marks
    asked, searched = (features / np.linalg.norm(features, axis=1, keepdims=True) for features in (asked, searched))
    if device.type != "cpu":
        asked, searched = (torch.from_numpy(features).to(device) for features in (asked, searched))
    if "rerank" in variant:
        return evaluate_distances(rerank(asked, searched), *labels, top_k=top_k)
    return evaluate_ranking(asked, searched, *labels, top_k=top_k)


def standardized_per_camera(features: Matrix, cameras: Index) -> Matrix:
    """Return features [N, d] less the mean of their camera, over its standard deviation, per dimension.

    A dimension that does not vary under a camera becomes zero. Raises UserError for a camera with a single image, and
    for unknown cameras.

    Source: Song, Park and Lee, arXiv 2502.10195 (ICLR 2025), with the statistics of the test images.
    """
    found = np.empty_like(features)
    for camera in np.unique(cameras):
        own = cameras == camera
        if camera == UNKNOWN_CAMERA:
            raise UserError(f"camnorm: the camera of {own.sum()} test images is not known")
        if own.sum() < LEAST:
            raise UserError(f"camnorm: camera {camera} has {own.sum()} test image, which is its own mean; leave it out")
        rows = features[own].astype(np.float64)
        deviation = rows.std(axis=0)
        found[own] = (rows - rows.mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    return found


def _scores(result: RankingResult, gallery: int) -> Ranking:
    return Ranking(
        map=100 * result.map, rank1=100 * result.cmc[1], rank5=100 * result.cmc[5], rank10=100 * result.cmc[10],
        minp=100 * result.minp, map_trapezoid=100 * result.map_trapezoid, queries=result.n_valid,
        queries_without_match=result.n_without_match, gallery=gallery,
    )  # fmt: skip


def averaged(rankings: list[Ranking]) -> Ranking:
    """Return the mean scores of several rankings; queries are added up."""
    documents = [ranking.model_dump() for ranking in rankings]
    counted = {name: sum(document[name] for document in documents) for name in ("queries", "queries_without_match")}
    names = documents[0].keys() - counted.keys() - {"gallery"}
    means = {name: float(np.mean([document[name] for document in documents])) for name in names}
    return Ranking(**means, **counted, gallery=max(document["gallery"] for document in documents))


def _parameters(spec: DatasetSpec, variant: Variant) -> dict[str, float]:
    found: dict[str, float] = {}
    if "rerank" in variant:
        found |= {"k1": K1, "k2": K2, "lambda": LAMBDA}
    if "draws" in variant:
        found |= {"draws": spec.evaluation.draws, "gallery_images": spec.evaluation.gallery_images, "seed": SEED}
    return found
