"""The runs of other labs that git carries: JSON under `results/community/<lab>/`, all their scores recomputed."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from harness.errors import UserError
from harness.inputs.files import read_bytes
from harness.inputs.json import parse_json, validated
from harness.paths import community_folder
from harness.pipeline.records import Metrics, Record
from harness.pipeline.trained import check_history, check_record
from harness.specs.base import Frozen
from harness.store.run_files import RunResult, check_agreement, rank_scores

COMMUNITY_BYTES = 10 * 2**20
MOST_RANKS = 50_000_000


class CommunityRun(Frozen):
    """A run of another lab. `sha256` is that of the rest, as JSON with sorted keys."""

    format: Literal[1] = 1
    record: Record
    metrics: Metrics
    history: dict[str, list[float | None]]
    identities: str = Field(description="number of each query's identity: base64 of zlib of int32, little-endian")
    counts: str = Field(description="right answers of each query, likewise")
    ranks: str = Field(description="their ranks from 1, query by query, likewise")
    sha256: str


def read_community(path: Path) -> RunResult:
    """Return the run in a document, all its scores recomputed. Raises UserError if anything does not agree."""
    tree = parse_json(read_bytes(path, COMMUNITY_BYTES), Path(path.name))
    run = validated(tree, path.name, CommunityRun)
    if run.sha256 != seal(tree):
        raise UserError(f"{path.name}: was altered: its SHA-256 differs")
    check_record(run.record, path.stem)
    history = check_history(run.history)
    if (run.metrics.checkpoint_sha256, run.metrics.protocol) != (run.record.checkpoint_sha256, run.record.protocol):
        raise UserError(f"{path.name}: record and metrics name different checkpoints or protocols")
    counts, ranks = _unpacked(run.counts, "counts"), _unpacked(run.ranks, "ranks")
    identities = _unpacked(run.identities, "identities")
    if (counts < 0).any() or int(counts.sum()) != ranks.size or identities.size != counts.size:
        raise UserError(f"{path.name}: counts, ranks and identities do not fit each other")
    ap, first, scores = rank_scores(counts, ranks.astype(np.int64), run.metrics.gallery, path.name)
    check_agreement(scores, counts, run.metrics, path.name)
    numbers = np.unique(identities, return_inverse=True)[1].astype(np.int32)
    first_hit = np.nan_to_num(first).astype(np.int32)
    return RunResult(run.record, run.metrics, ap.astype(np.float32), history, numbers, first_hit)


def community_files(root: Path) -> list[Path]:
    """Return every document under `results/community/`."""
    return sorted(community_folder(root).glob("*/*.json"))


def seal(document: dict[str, Any]) -> str:
    """Return the SHA-256 of a document but for its own place, as JSON with sorted keys."""
    rest = {name: value for name, value in document.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def packed(values: NDArray[Any]) -> str:
    """Return whole numbers as base64 of zlib of int32, little-endian."""
    return base64.b64encode(zlib.compress(values.astype("<i4").tobytes(), 9)).decode("ascii")


def _unpacked(text: str, name: str) -> NDArray[np.int32]:
    try:
        unpacker = zlib.decompressobj()
        data = unpacker.decompress(base64.b64decode(text, validate=True), 4 * MOST_RANKS)
        if unpacker.unconsumed_tail or not unpacker.eof:
            raise ValueError("too long, or cut short")
        return np.frombuffer(data, dtype="<i4").astype(np.int32)
    except (ValueError, zlib.error) as error:
        raise UserError(f"{name}: {error}") from None
