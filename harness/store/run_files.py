"""Reading what runs leave under `results/`: each folder validated as a whole, or rejected with a reason."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError
from harness.inputs.csv import Columns
from harness.inputs.files import MissingFileError, read_bytes
from harness.inputs.json import parse_sealed
from harness.inputs.limits import TABLE_BYTES
from harness.inputs.parquet import parse_table
from harness.pipeline.records import QUERY_COLUMNS, Metrics, Ranking, Record
from harness.pipeline.trained import read_trained

if TYPE_CHECKING:
    import pyarrow as pa

FILES = ("record.json", "metrics.json", "queries.parquet", "history.csv")
QUERIES = "queries.parquet"
AGREEMENT = 1e-6
"""Points by which scores and their recomputation may differ: both are float64 means of the same figures."""
TITLES = {"map": "an mAP", "map_trapezoid": "a trapezoid mAP", "minp": "an mINP", "rank1": "a Rank-1",
          "rank5": "a Rank-5", "rank10": "a Rank-10"}  # fmt: skip
History = Columns


class BrokenResultError(UserError):
    """Why a folder or file under `results/` cannot be taken in."""


@dataclass(frozen=True)
class RunResult:
    """A finished run, validated. `ap` is float32 per query in [0, 1], NaN without a match.

    `identities` number the identities of the queries in any order, `first_hit` is the rank of the first right answer,
    0 without a match; both are None for a published run, whose snapshot states the former once per dataset.
    """

    record: Record
    metrics: Metrics
    ap: NDArray[np.float32]
    history: History
    identities: NDArray[np.int32] | None = None
    first_hit: NDArray[np.int32] | None = None


def digest(folder: Path) -> str | None:
    """Return the hash of a run folder's content (the checkpoint apart), or None if it is not evaluated yet.

    Raises UserError for a file that cannot be read.
    """
    content = hashlib.blake2b(digest_size=12)
    for name in FILES:
        try:
            data = read_bytes(folder / name, TABLE_BYTES)
        except MissingFileError:
            return None
        content.update(f"{name} {len(data)}\n".encode())
        content.update(data)
    return content.hexdigest()


def read_run(folder: Path) -> RunResult:
    """Read a run's folder: every file is what the next one says it is, and every score follows from the queries.

    Raises BrokenResultError.
    """
    try:
        trained = read_trained(folder)
        metrics = parse_sealed(read_bytes(folder / "metrics.json"), Path("metrics.json"), Metrics)
        if metrics.record_sha256 != trained.record_sha256:
            raise UserError(
                f"metrics.json belongs to another record: the run was trained again since; "
                f"evaluate it: dvc repro evaluate@{folder.name}"
            )
        if (metrics.checkpoint_sha256, metrics.protocol) != (trained.record.checkpoint_sha256, trained.record.protocol):
            raise UserError("metrics.json and record.json name different checkpoints or protocols")
        data, name = verified_queries(folder, metrics), Path("queries.parquet")
        queries = parse_table(data, name, query_types(), _remedy(folder.name))
        identities = np.unique(queries["identity"].to_numpy(), return_inverse=True)[1].astype(np.int32)
        ap = check_scores(queries, metrics)
        first = queries["first_hit"].fill_null(0).to_numpy().astype(np.int32)
    except UserError as error:
        raise BrokenResultError(str(error).replace(f"{folder}/", "")) from None
    return RunResult(trained.record, metrics, ap, trained.history, identities, first)


def verified_queries(folder: Path, metrics: Metrics | None = None) -> bytes:
    """Return `queries.parquet`. Raises UserError unless it is the file that `metrics`, or metrics.json, vouch for."""
    if metrics is None:
        metrics = parse_sealed(read_bytes(folder / "metrics.json"), Path("metrics.json"), Metrics)
    data = read_bytes(folder / "queries.parquet", TABLE_BYTES)
    if hashlib.sha256(data).hexdigest() != metrics.queries_sha256:
        raise UserError(f"queries.parquet is damaged: not what metrics.json describes; {_remedy(folder.name)}")
    return data


def _remedy(key: str) -> str:
    return f"`dvc checkout` brings it back, `harness evaluate {key}` computes it"


def query_types() -> dict[str, pa.DataType]:
    """Return the types of `QUERY_COLUMNS`."""
    import pyarrow as pa  # slow to import, and only needed for new runs

    types = (
        pa.int32(), pa.string(), pa.int64(), pa.int32(), pa.float64(), pa.int32(), pa.list_(pa.int32()),
        pa.list_(pa.bool_()), pa.list_(pa.int32()),
    )  # fmt: skip
    return dict(zip(QUERY_COLUMNS, types, strict=True))


def check_scores(queries: pa.Table, metrics: Metrics | Ranking) -> NDArray[np.float32]:
    """Return AP per query, NaN without a match. Raises UserError unless the ranks give the scores of `metrics`."""
    if queries["query"].to_pylist() != list(range(queries.num_rows)):
        raise UserError("queries.parquet: its queries are not 0, 1, 2, …")
    if any(queries[name].null_count for name in QUERY_COLUMNS if name not in ("ap", "first_hit")):
        raise UserError("queries.parquet: a query lacks its path, labels or ranked lists")
    stated, first = (queries[name].to_numpy(zero_copy_only=False).astype(np.float64) for name in ("ap", "first_hit"))
    ranks = queries["match_ranks"].combine_chunks()
    if ranks.flatten().null_count:
        raise UserError("queries.parquet: its ranks are incomplete, or no query has a match")
    counts = ranks.value_lengths().to_numpy()
    ap, one, scores = rank_scores(counts, ranks.flatten().to_numpy().astype(np.int64), metrics.gallery, QUERIES)
    if not np.allclose(ap, stated, rtol=0, atol=1e-12, equal_nan=True) or not np.array_equal(
        one, first, equal_nan=True
    ):
        raise UserError("queries.parquet: AP or first hit of a query do not follow from its ranks")
    check_agreement(scores, counts, metrics, QUERIES)
    _check_ranked(queries, one, metrics.gallery)
    return ap.astype(np.float32)


def rank_scores(
    counts: NDArray[np.int32], rank: NDArray[np.int64], gallery: int, where: str
) -> tuple[NDArray[np.float64], NDArray[np.float64], dict[str, float]]:
    """Return AP and first hit per query, NaN without a match, and the scores in percent, from ranks of right answers.

    `counts` [Q] are how many each query has, `rank` [sum of counts] their ranks from 1, query by query. Raises
    UserError, beginning with `where`, for ranks that cannot be.
    """
    if not counts.any():
        raise UserError(f"{where}: its ranks are incomplete, or no query has a match")
    found, owner = counts > 0, np.repeat(np.arange(len(counts)), counts)
    start = np.cumsum(counts) - counts
    hit = np.arange(len(rank)) - start[owner] + 1
    if (rank < hit).any() or (rank > gallery).any() or (np.diff(rank)[owner[1:] == owner[:-1]] <= 0).any():
        raise UserError(f"{where}: ranks that do not rise, or lie outside the gallery")
    last = rank[(start + counts - 1)[found]]
    before = np.where(rank > 1, (hit - 1) / np.maximum(rank - 1, 1), 1)

    def mean_over_hits(values: NDArray[np.float64]) -> NDArray[np.float64]:
        mean: NDArray[np.float64] = np.bincount(owner, weights=values, minlength=len(counts))[found] / counts[found]
        return mean

    ap = np.full(len(counts), np.nan)
    ap[found] = mean_over_hits(hit / rank)
    one = np.full(len(counts), np.nan)
    one[found] = rank[start[found]]
    scores = {
        "map": ap[found].mean(), "map_trapezoid": mean_over_hits((hit / rank + before) / 2).mean(),
        "minp": (counts[found] / last).mean(),
        "rank1": (one[found] <= 1).mean(), "rank5": (one[found] <= 5).mean(), "rank10": (one[found] <= 10).mean(),
    }  # fmt: skip
    return ap, one, {name: 100 * float(score) for name, score in scores.items()}


def check_agreement(
    scores: dict[str, float], counts: NDArray[np.int32], metrics: Metrics | Ranking, where: str
) -> None:
    """Raise UserError unless metrics say what was found in `where`: `scores`, and `counts` of right answers."""
    found = counts > 0
    if (found.sum(), (~found).sum()) != (metrics.queries, metrics.queries_without_match):
        raise UserError(
            f"{where} has {found.sum()} queries with and {(~found).sum()} without a match, "
            f"metrics.json says {metrics.queries} and {metrics.queries_without_match}"
        )
    for name, score in scores.items():
        if abs(score - getattr(metrics, name)) > AGREEMENT:
            raise UserError(
                f"{where} gives {TITLES[name]} of {score:.2f}, metrics.json says {getattr(metrics, name):.2f}"
            )


def _check_ranked(queries: pa.Table, first: NDArray[np.float64], gallery: int) -> None:
    """Raise UserError unless each ranked list is of the gallery and fits the rank of its first right answer."""
    lists = zip(queries["gallery"].to_pylist(), queries["correct"].to_pylist(), first, strict=True)
    for number, (items, correct, rank) in enumerate(lists):
        hit = correct.index(True) + 1 if True in correct else None
        if (
            len(items) != len(correct)
            or None in correct
            or not all(item is not None and 0 <= item < gallery for item in items)
            or (hit != rank if hit or rank <= len(items) else False)
        ):
            raise UserError(f"queries.parquet: the ranked list of query {number} cannot be")
