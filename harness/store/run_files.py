"""Reading what runs leave under `results/`: each folder validated as a whole, or rejected with a reason."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from harness.errors import UserError
from harness.paths import run_folder
from harness.pipeline.records import HISTORY_COLUMNS, QUERY_COLUMNS, Attempt, Metrics, Record
from harness.specs.pairing import parse_key

FILES = ("record.json", "metrics.json", "queries.parquet", "history.csv")
History = dict[str, list[float | None]]


class BrokenResultError(Exception):
    """Why a folder or file under `results/` cannot be taken in."""


@dataclass(frozen=True)
class RunResult:
    """A finished run, validated. `ap` is float32 per query in [0, 1], NaN without a match.

    `identities` number the identities of the queries in any order; None for a published run, whose snapshot states them
    once per dataset.
    """

    record: Record
    metrics: Metrics
    ap: NDArray[np.float32]
    history: History
    identities: NDArray[np.int32] | None = None


def digest(folder: Path) -> str | None:
    """Return the hash of a run folder's content (the checkpoint apart), or None if it is not evaluated yet."""
    content = hashlib.blake2b(digest_size=12)
    for name in FILES:
        try:
            data = (folder / name).read_bytes()
        except FileNotFoundError:
            return None
        content.update(f"{name} {len(data)}\n".encode())
        content.update(data)
    return content.hexdigest()


def read_run(folder: Path) -> RunResult:
    """Read a run's folder. Raises BrokenResultError."""
    record = _document(folder / "record.json", Record)
    metrics = _document(folder / "metrics.json", Metrics)
    check_record(record, folder.name)
    ap, identities = _read_queries(folder / "queries.parquet")
    result = RunResult(record, metrics, ap, read_history(folder / "history.csv"), identities)
    scored = ap[~np.isnan(ap)]
    unmatched = ap.size - scored.size
    if unmatched != metrics.queries_without_match:
        raise BrokenResultError(
            f"queries.parquet has {unmatched} queries without AP, metrics.json says {metrics.queries_without_match}"
        )
    mean = 100 * float(scored.mean(dtype=np.float64)) if scored.size else 0.0
    if abs(mean - metrics.map) > 0.05:
        raise BrokenResultError(f"queries.parquet gives an mAP of {mean:.2f}, metrics.json says {metrics.map:.2f}")
    return result


def check_record(record: Record, name: str) -> None:
    """Raise BrokenResultError unless the record belongs to the run called `name`."""
    try:
        pairing = parse_key(name)
    except UserError as error:
        raise BrokenResultError(str(error)) from None
    stated = (record.key, record.method, record.source, record.target, record.seed)
    if stated != (name, pairing.method, pairing.source, pairing.target, pairing.seed):
        raise BrokenResultError(f"record.json belongs to {record.key}, not to {name}")
    if record.started.tzinfo is None:
        raise BrokenResultError("record.json: `started` has no time zone")


def read_attempt(path: Path) -> Attempt:
    """Read one attempt's document. Raises BrokenResultError."""
    attempt = _document(path, Attempt)
    if attempt.key != path.parent.name:
        raise BrokenResultError(f"it belongs to {attempt.key}, not to {path.parent.name}")
    if attempt.started.tzinfo is None or attempt.updated.tzinfo is None:
        raise BrokenResultError("its times have no time zone")
    return attempt


def read_history(path: Path) -> History:
    """Read `history.csv` as columns of numbers, None where empty. Raises BrokenResultError."""
    rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))
    if not rows:
        raise BrokenResultError("history.csv is empty: it lacks its header")
    header, body = rows[0], rows[1:]
    missing = [name for name in HISTORY_COLUMNS if name not in header]
    if missing:
        raise BrokenResultError(f"history.csv lacks the columns {', '.join(missing)}")
    if any(len(row) != len(header) for row in body):
        raise BrokenResultError("history.csv has a row of another length than its header")
    try:
        return {name: [_number(row[i]) for row in body] for i, name in enumerate(header)}
    except ValueError as error:
        raise BrokenResultError(f"history.csv: {error}") from None


def _number(cell: str) -> float | None:
    value = float(cell) if cell else None
    return value if value is None or np.isfinite(value) else None


Document = TypeVar("Document", bound=BaseModel)


def _document(path: Path, model: type[Document]) -> Document:
    try:
        return model.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BrokenResultError(f"{path.name}: {where + ': ' if where else ''}{first['msg']}") from None
    except (OSError, json.JSONDecodeError) as error:
        raise BrokenResultError(f"{path.name}: {error}") from None


def _read_queries(path: Path) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Return AP and a number for the identity of every query."""
    import pyarrow as pa  # slow to import, and only needed for new runs
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        missing = [name for name in QUERY_COLUMNS if name not in file.schema_arrow.names]
        if missing:
            raise BrokenResultError(f"queries.parquet lacks the columns {', '.join(missing)}")
        table = file.read(columns=["ap", "identity"])
        column = table.column("ap").cast(pa.float64())
        identities = table.column("identity").cast(pa.int64())
    except (pa.ArrowException, OSError) as error:
        raise BrokenResultError(f"queries.parquet: {error}") from None
    ap = np.array(column.to_pylist() if column.null_count else column.to_numpy(), dtype=np.float32)
    with np.errstate(invalid="ignore"):
        if np.any(ap < 0) or np.any(ap > 1):
            raise BrokenResultError("queries.parquet: an AP lies outside [0, 1]")
    if identities.null_count:
        raise BrokenResultError("queries.parquet: a query has no identity")
    return ap, np.unique(identities.to_numpy(), return_inverse=True)[1].astype(np.int32)


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
    """Return a run's queries in split order. Raises UserError if its files are not here."""
    rows = _read_rows(root, key, ["query", "path", "identity", "camera", "ap", "first_hit"])
    return [
        Query(row["query"], row["path"], row["identity"], row["camera"], row["ap"], row["first_hit"]) for row in rows
    ]


def read_ranked(root: Path, key: str, query: int) -> Ranked:
    """Return the ranked list of one query. Raises UserError if it is not here."""
    rows = _read_rows(root, key, ["gallery", "correct"], query)
    if len(rows) != 1:
        raise UserError(f"{key} has no query {query}")
    return Ranked(tuple(rows[0]["gallery"]), tuple(rows[0]["correct"]))


def _read_rows(root: Path, key: str, columns: list[str], query: int | None = None) -> list[dict[str, Any]]:
    import pyarrow as pa  # slow to import
    import pyarrow.parquet as pq

    path = run_folder(root, parse_key(key).key) / "queries.parquet"
    try:
        filters = None if query is None else [("query", "=", query)]
        return list(pq.read_table(path, columns=columns, filters=filters).to_pylist())
    except FileNotFoundError:
        raise UserError(
            f"The ranked lists of {key} are not on this machine: "
            f"`dvc pull evaluate@{key}` fetches them, `dvc repro evaluate@{key}` computes them."
        ) from None
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"results/runs/{key}/queries.parquet cannot be read: {error}") from None
