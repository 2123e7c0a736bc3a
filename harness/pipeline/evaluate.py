"""The evaluate stage: a run's checkpoint on its target, protocol reid-v1."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from harness.data.prepared import Prepared, open_prepared
from harness.errors import UserError
from harness.evaluation import PROTOCOL, RankingResult
from harness.evaluation.matching import Index, Labels
from harness.evaluation.ranking import JUNK_IDS
from harness.inputs.csv import Columns
from harness.inputs.json import sealed, validated
from harness.learning.algorithm import algorithm_class
from harness.learning.data import UnlabeledSet
from harness.learning.device import choose_device
from harness.learning.normalization import IMAGENET
from harness.learning.out_of_memory import explained
from harness.learning.state import read_tensors, sha256
from harness.matrix import Matrix, as_matrix, row_norms
from harness.paths import prepared_folder, replacing, run_folder, write_text
from harness.pipeline.attempts import attempt
from harness.pipeline.inspect import own_clusters
from harness.pipeline.machine import hardware
from harness.pipeline.records import CLUSTERS, WRONG_BINS, Best, LabelFree, Metrics
from harness.pipeline.trained import Trained, read_trained
from harness.pipeline.training.evaluator import Evaluator
from harness.specs.method import ResolvedMethod
from harness.specs.pairing import Pairing
from harness.specs.registry import Registry
from harness.specs.resolve import fingerprint

if TYPE_CHECKING:
    from torch import Tensor

TOP_K = 20
"""Gallery items stored per query, for the queries browser."""
SAMPLE, PAIRS = 512, 2**14
"""Gallery images whose cosines stand for all wrong ones of a query; pairs of rows compared at a time."""


def evaluate(registry: Registry, pairing: Pairing) -> Metrics | LabelFree:
    """Score the run's last epoch; write `metrics.json` and `queries.parquet`.

    On a target without labeled test images the metrics are label-free figures of the history, and instead of queries
    the table holds the training images' clusters by the last epoch's network, so that seeds can be compared.

    Raises UserError if checkpoint, record or history are missing, damaged or not of one run.
    """
    folder = run_folder(registry.root, pairing.key)
    tensors, run, method = checked_run(folder, pairing.key)
    device = choose_device()
    spec_hash = fingerprint(method.model_dump(mode="json"))
    with (
        attempt(registry.root, pairing.key, "evaluate", spec_hash, hardware(device).device, 0),
        explained(method.compute, device),
    ):
        begun = time.perf_counter()
        algorithm = algorithm_class(method.algorithm, folder / "record.json")
        target = open_prepared(prepared_folder(registry.root, pairing.target))
        embed = algorithm.embedder(method.compute, tensors, device)
        shown = run.record.input.normalization if run.record.input else IMAGENET
        if not target.evaluated:
            figures = _label_free(run, target)
            split = target.split("train")
            training = normalized(embed(UnlabeledSet(split.images, split.cameras, device, shown)))
            params = algorithm.Params.model_validate(method.params)
            clusters, _ = own_clusters(training, split.cameras, params)
            with replacing(folder / "queries.parquet") as partial:
                pq.write_table(pa.table({CLUSTERS: pa.array(clusters, pa.int32())}), partial, compression="zstd")
            write_text(folder / "metrics.json", sealed(figures))
            return figures
        evaluator = Evaluator(target, device, shown)
        features = evaluator.embedded(embed)
        result = evaluator.ranked(*features, TOP_K)
        with replacing(folder / "queries.parquet") as partial:
            pq.write_table(query_table(target, result, *map(normalized, features)), partial, compression="zstd")
            queries_sha256 = hashlib.sha256(partial.read_bytes()).hexdigest()
        metrics = Metrics(
            map=100 * result.map, rank1=100 * result.cmc[1], rank5=100 * result.cmc[5], rank10=100 * result.cmc[10],
            minp=100 * result.minp, map_trapezoid=100 * result.map_trapezoid, protocol=PROTOCOL,
            queries=result.n_valid, queries_without_match=result.n_without_match, gallery=len(target.split("gallery")),
            best_on_test=_best_on_test(run.history), chosen_without_labels=run.record.chosen_without_labels,
            record_sha256=run.record_sha256, checkpoint_sha256=run.record.checkpoint_sha256,
            queries_sha256=queries_sha256, seconds=time.perf_counter() - begun,
        )  # fmt: skip
        write_text(folder / "metrics.json", sealed(metrics))
    return metrics


def checked_run(folder: Path, key: str) -> tuple[dict[str, Tensor], Trained, ResolvedMethod]:
    """Return the tensors, the record with its history, and the resolved method of a trained run.

    Raises UserError if they are missing, damaged or not of one run.
    """
    tensors, metadata = read_tensors(folder / "checkpoint.safetensors")
    run = read_trained(folder)
    if sha256(tensors, metadata) != run.record.checkpoint_sha256 or metadata.get("key") != key:
        raise UserError(
            f"{folder / 'checkpoint.safetensors'}: is not the checkpoint that record.json describes; "
            f"train again: harness train {key}"
        )
    return tensors, run, validated(run.record.spec, f"{folder / 'record.json'}: spec", ResolvedMethod)


def _label_free(run: Trained, target: Prepared) -> LabelFree:
    def last(column: str) -> float | None:
        values = run.history.get(column) or [None]
        return values[-1]

    clusters = last("clusters")
    return LabelFree(
        images=len(target.split("train")), clusters=None if clusters is None else int(clusters),
        outliers=last("outliers"), silhouette=last("silhouette"), agreement=last("agreement"),
        camera_bias=last("camera_bias"), record_sha256=run.record_sha256,
        checkpoint_sha256=run.record.checkpoint_sha256,
    )  # fmt: skip


def _best_on_test(history: Columns) -> Best | None:
    """Return the best evaluated epoch of a history, the papers' habit; None if none was evaluated."""
    columns = (history["epoch"], history["target_map"], history["target_rank1"])
    rows = [row for row in zip(*columns, strict=True) if None not in row]
    if not rows:
        return None
    epoch, best, rank1 = max(rows, key=lambda row: row[1] or 0.0)
    return Best(epoch=int(epoch or 0), map=best or 0.0, rank1=rank1 or 0.0)


def normalized(features: Any) -> Matrix:
    """Return features with rows of length 1, in the same memory where that is possible: a gallery can be large."""
    rows = as_matrix(features, "features")
    rows /= row_norms(rows, "features")[:, None]
    return rows


def query_columns(
    result: RankingResult, paths: Sequence[str], ids: Index, cameras: Index, gallery_ids: Index
) -> tuple[dict[str, pa.Array], list[Index]]:
    """Return the columns of `QUERY_COLUMNS`, one row per query, and the first gallery items of each."""
    matched = ~np.isnan(result.ap)
    top = [row[row >= 0] for row in result.top]
    columns = {
        "query": pa.array(np.arange(len(ids)), pa.int32()),
        "path": pa.array(paths),
        "identity": pa.array(ids, pa.int64()),
        "camera": pa.array(cameras, pa.int32()),
        "ap": pa.array(result.ap, pa.float64(), mask=~matched),
        "first_hit": pa.array(result.first_hit, pa.int32(), mask=~matched),
        "gallery": pa.array(top, pa.list_(pa.int32())),
        "correct": pa.array(
            [gallery_ids[row] == identity for row, identity in zip(top, ids, strict=True)], pa.list_(pa.bool_())
        ),
        "match_ranks": pa.array(np.split(result.ranks, np.cumsum(result.counts)[:-1]), pa.list_(pa.int32())),
    }
    return columns, top


def query_table(target: Prepared, result: RankingResult, query_rows: Matrix, gallery_rows: Matrix) -> pa.Table:
    """Return one row per query with the columns of `QUERY_COLUMNS` and `QUERY_EXTRAS`."""
    query, gallery = target.split("query"), target.split("gallery")
    columns, top = query_columns(result, query.paths, query.ids, query.cameras, gallery.ids)
    query_cameras, gallery_cameras = (query.cameras, gallery.cameras) if target.has_cameras else (None, None)
    labels = Labels.read(query.ids, gallery.ids, query_cameras, gallery_cameras, JUNK_IDS)
    matches = labels.matches(0, len(query))
    owner = np.repeat(np.arange(len(query)), np.diff(matches.right_start))
    cosines = _cosines(query_rows, gallery_rows, owner, matches.right)
    by_rank = np.lexsort((matches.right, -cosines, owner))
    bounds = matches.right_start[1:-1]

    def split(values: NDArray[Any], kind: pa.DataType) -> pa.Array:
        return pa.array(np.split(values, bounds), pa.list_(kind))

    similarity = [gallery_rows[row] @ features for row, features in zip(top, query_rows, strict=True)]
    ranks = columns.pop("match_ranks")
    return pa.table(
        columns
        | {
            "similarity": pa.array(similarity, pa.list_(pa.float32())),
            "matches": split(matches.right[by_rank], pa.int32()),
            "match_ranks": ranks,
            "match_similarity": split(cosines[by_rank], pa.float32()),
            "wrong": pa.array(_wrong(query_rows, gallery_rows, query.ids, gallery.ids), pa.list_(pa.uint16())),
        }
    )


def _cosines(query: Matrix, gallery: Matrix, left: NDArray[np.int64], right: NDArray[np.int64]) -> Matrix:
    """Return the cosine of each pair of a query row and a gallery row, some at a time."""
    found = np.empty(len(left), np.float32)
    for start in range(0, len(left), PAIRS):
        part = slice(start, start + PAIRS)
        np.einsum("ij,ij->i", query[left[part]], gallery[right[part]], out=found[part])
    return found


def _wrong(query: Matrix, gallery: Matrix, query_ids: NDArray[Any], gallery_ids: NDArray[Any]) -> list[Any]:
    """Return, per query, how many of the wrong images in an even sample of the gallery fall into each bin of cosine."""
    sample = np.unique(np.linspace(0, len(gallery) - 1, min(SAMPLE, len(gallery))).astype(np.int64))
    found = []
    for features, identity in zip(query, query_ids, strict=True):
        wrong = sample[gallery_ids[sample] != identity]
        found.append(np.histogram(gallery[wrong] @ features, WRONG_BINS, (-1, 1))[0])
    return found
