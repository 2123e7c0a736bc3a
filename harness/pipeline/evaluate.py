"""The evaluate stage: a run's checkpoint on its target, protocol reid-v1."""

from __future__ import annotations

import csv
import importlib
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness.data.prepared import Prepared, open_prepared
from harness.evaluation import PROTOCOL, RankingResult
from harness.learning.algorithm import Algorithm
from harness.learning.device import choose_device
from harness.learning.out_of_memory import explained
from harness.learning.state import read_tensors
from harness.paths import prepared_folder, replacing, run_folder, write_text
from harness.pipeline.attempts import attempt
from harness.pipeline.machine import hardware
from harness.pipeline.records import Best, Metrics
from harness.pipeline.training.evaluator import Evaluator
from harness.specs.method import ResolvedMethod
from harness.specs.pairing import Pairing
from harness.specs.registry import Registry
from harness.specs.resolve import fingerprint

TOP_K = 20
"""Gallery items stored per query, for the queries browser."""


def evaluate(registry: Registry, pairing: Pairing) -> Metrics:
    """Score the run's last epoch; write `metrics.json` and `queries.parquet`. Raises UserError without a checkpoint."""
    folder = run_folder(registry.root, pairing.key)
    tensors, metadata = read_tensors(folder / "checkpoint.safetensors")
    method = ResolvedMethod.model_validate_json(metadata["method"])
    device = choose_device()
    spec_hash = fingerprint(method.model_dump(mode="json"))
    with (
        attempt(registry.root, pairing.key, "evaluate", spec_hash, hardware(device).device, 0),
        explained(method.compute, device),
    ):
        begun = time.perf_counter()
        module, class_name = method.algorithm.split(":")
        algorithm: type[Algorithm] = getattr(importlib.import_module(module), class_name)
        target = open_prepared(prepared_folder(registry.root, pairing.target))
        result = Evaluator(target, device).scores(algorithm.embedder(method.compute, tensors, device), TOP_K)
        metrics = Metrics(
            map=100 * result.map, rank1=100 * result.cmc[1], rank5=100 * result.cmc[5], rank10=100 * result.cmc[10],
            minp=100 * result.minp, map_trapezoid=100 * result.map_trapezoid, protocol=PROTOCOL,
            queries=result.n_valid, queries_without_match=result.n_without_match, gallery=len(target.split("gallery")),
            best_on_test=_best_on_test(folder / "history.csv"), seconds=time.perf_counter() - begun,
        )  # fmt: skip
        with replacing(folder / "queries.parquet") as partial:
            pq.write_table(_query_table(target, result), partial, compression="zstd")
        write_text(folder / "metrics.json", metrics.model_dump_json(indent=2) + "\n")
    return metrics


def _best_on_test(history: Path) -> Best | None:
    """Return the best evaluated epoch of a history, the papers' habit; None if none was evaluated."""
    with history.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["target_map"]]
    if not rows:
        return None
    best = max(rows, key=lambda row: float(row["target_map"]))
    return Best(epoch=int(best["epoch"]), map=float(best["target_map"]), rank1=float(best["target_rank1"]))


def _query_table(target: Prepared, result: RankingResult) -> pa.Table:
    """Return one row per query with the columns of `QUERY_COLUMNS`."""
    query, gallery_ids = target.split("query"), target.split("gallery").ids
    matched = ~np.isnan(result.ap)
    top: list[Any] = [np.asarray(row)[np.asarray(row) >= 0] for row in result.top]
    return pa.table(
        {
            "query": pa.array(np.arange(len(query)), pa.int32()),
            "path": pa.array(query.paths),
            "identity": pa.array(query.ids, pa.int64()),
            "camera": pa.array(query.cameras, pa.int32()),
            "ap": pa.array(result.ap, pa.float64(), mask=~matched),
            "first_hit": pa.array(result.first_hit, pa.int32(), mask=~matched),
            "gallery": pa.array(top, pa.list_(pa.int32())),
            "correct": pa.array(
                [gallery_ids[row] == identity for row, identity in zip(top, query.ids, strict=True)],
                pa.list_(pa.bool_()),
            ),
        }
    )
