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
from harness.inputs.json import parse_document
from harness.inputs.limits import TABLE_BYTES
from harness.inputs.parquet import parse_table
from harness.paths import run_folder
from harness.pipeline.records import QUERY_COLUMNS, Attempt, Metrics, Record
from harness.pipeline.trained import read_trained
from harness.specs.pairing import parse_key

if TYPE_CHECKING:
    import pyarrow as pa

FILES = ("record.json", "metrics.json", "queries.parquet", "history.csv")
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
        metrics = parse_document(read_bytes(folder / "metrics.json"), Path("metrics.json"), Metrics)
        if metrics.record_sha256 != trained.record_sha256:
            raise UserError(
                f"metrics.json belongs to another record: the run was trained again since; "
                f"evaluate it: dvc repro evaluate@{folder.name}"
            )
        if (metrics.checkpoint_sha256, metrics.protocol) != (trained.record.checkpoint_sha256, trained.record.protocol):
            raise UserError("metrics.json and record.json name different checkpoints or protocols")
        queries = _read_queries(folder, metrics)
        identities = np.unique(queries["identity"].to_numpy(), return_inverse=True)[1].astype(np.int32)
        ap = check_scores(queries, metrics)
        first = queries["first_hit"].fill_null(0).to_numpy().astype(np.int32)
    except UserError as error:
        raise BrokenResultError(str(error).replace(f"{folder}/", "")) from None
    return RunResult(trained.record, metrics, ap, trained.history, identities, first)


def _read_queries(folder: Path, metrics: Metrics) -> pa.Table:
    """Return `queries.parquet`. Raises UserError unless it is the file that `metrics` vouch for."""
    data = read_bytes(folder / "queries.parquet", TABLE_BYTES)
    if hashlib.sha256(data).hexdigest() != metrics.queries_sha256:
        raise UserError(f"queries.parquet is damaged: not what metrics.json describes; {_remedy(folder.name)}")
    return parse_table(data, Path("queries.parquet"), _columns(), _remedy(folder.name))


def _remedy(key: str) -> str:
    return f"`dvc checkout` brings it back, `harness evaluate {key}` computes it"


def _columns() -> dict[str, pa.DataType]:
    import pyarrow as pa  # slow to import, and only needed for new runs

    types = (
        pa.int32(), pa.string(), pa.int64(), pa.int32(), pa.float64(), pa.float64(), pa.float64(), pa.int32(),
        pa.list_(pa.int32()), pa.list_(pa.bool_()),
    )  # fmt: skip
    return dict(zip(QUERY_COLUMNS, types, strict=True))


def check_scores(queries: pa.Table, metrics: Metrics) -> NDArray[np.float32]:
    """Return AP per query, NaN without a match. Raises UserError unless `queries` give the scores of `metrics`."""
    ap, trapezoid, inp, first = (
        queries[name].to_numpy(zero_copy_only=False).astype(np.float64)
        for name in ("ap", "ap_trapezoid", "inp", "first_hit")
    )
    found = ~np.isnan(ap)
    if any((np.isnan(values) == found).any() for values in (trapezoid, inp, first)):
        raise UserError("queries.parquet: some figures of a query are missing")
    if (found.sum(), (~found).sum()) != (metrics.queries, metrics.queries_without_match):
        raise UserError(
            f"queries.parquet has {found.sum()} queries with and {(~found).sum()} without AP, "
            f"metrics.json says {metrics.queries} and {metrics.queries_without_match}"
        )
    if not found.any():
        raise UserError("queries.parquet: no query has a match")
    for name, values in (("AP", ap), ("trapezoid AP", trapezoid), ("INP", inp)):
        if ((values[found] < 0) | (values[found] > 1)).any():
            raise UserError(f"queries.parquet: an {name} lies outside [0, 1]")
    _check_ranked(queries, first, metrics.gallery)
    scores = {
        "map": ap[found].mean(), "map_trapezoid": trapezoid[found].mean(), "minp": inp[found].mean(),
        "rank1": (first[found] <= 1).mean(), "rank5": (first[found] <= 5).mean(), "rank10": (first[found] <= 10).mean(),
    }  # fmt: skip
    for name, score in scores.items():
        stated = getattr(metrics, name)
        if abs(100 * float(score) - stated) > AGREEMENT:
            raise UserError(
                f"queries.parquet gives {TITLES[name]} of {100 * score:.2f}, metrics.json says {stated:.2f}"
            )
    return ap.astype(np.float32)


def _check_ranked(queries: pa.Table, first: NDArray[np.float64], gallery: int) -> None:
    """Raise UserError unless every query is there in order, and its ranked list is of the gallery and fits its rank."""
    if queries["query"].to_pylist() != list(range(queries.num_rows)):
        raise UserError("queries.parquet: its queries are not 0, 1, 2, …")
    if any(queries[name].null_count for name in ("path", "identity", "camera", "gallery", "correct")):
        raise UserError("queries.parquet: a query lacks its path, labels or ranked list")
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


def read_attempt(path: Path) -> Attempt:
    """Read one attempt's document. Raises BrokenResultError."""
    try:
        attempt = parse_document(read_bytes(path), Path(path.name), Attempt)
    except UserError as error:
        raise BrokenResultError(str(error).replace(f"{path.parent}/", "")) from None
    if attempt.key != path.parent.name:
        raise BrokenResultError(f"it belongs to {attempt.key}, not to {path.parent.name}")
    if attempt.started.tzinfo is None or attempt.updated.tzinfo is None:
        raise BrokenResultError("its times have no time zone")
    return attempt


@dataclass(frozen=True)
class Query:
    """One query: index in its split, path below the dataset's folder, labels, AP in [0, 1] or None without a match."""

    index: int
    path: str
    identity: int
    camera: int
    ap: float | None
    first_hit: int | None


@dataclass(frozen=True)
class Ranked:
    """The best gallery items of a query, as indices into the gallery split, and whether each is right."""

    gallery: tuple[int, ...]
    correct: tuple[bool, ...]


def read_queries(root: Path, key: str) -> list[Query]:
    """Return a run's queries in split order. Raises UserError if its files are not here or damaged."""
    table = _verified(root, key).select(["query", "path", "identity", "camera", "ap", "first_hit"])
    return [Query(*row.values()) for row in table.to_pylist()]


def read_ranked(root: Path, key: str, query: int) -> Ranked:
    """Return the ranked list of one query. Raises UserError if it is not here or damaged."""
    table = _verified(root, key)
    if not 0 <= query < table.num_rows:
        raise UserError(f"{key} has no query {query}")
    (row,) = table.slice(query, 1).to_pylist()
    return Ranked(tuple(row["gallery"]), tuple(row["correct"]))


def _verified(root: Path, key: str) -> pa.Table:
    folder = run_folder(root, parse_key(key).key)
    try:
        metrics = parse_document(read_bytes(folder / "metrics.json"), Path("metrics.json"), Metrics)
        return _read_queries(folder, metrics)
    except MissingFileError:
        raise UserError(
            f"The ranked lists of {key} are not on this machine: "
            f"`dvc pull evaluate@{key}` fetches them, `dvc repro evaluate@{key}` computes them."
        ) from None
    except UserError as error:
        raise UserError(f"results/runs/{key}/{str(error).replace(f'{folder}/', '')}") from None
