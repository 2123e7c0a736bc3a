"""The ranked lists of a run, read from its `queries.parquet`: too large for the database, and rarely asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.specs.pairing import parse_key


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
    rows = _read(root, key, ["query", "path", "identity", "camera", "ap", "first_hit"])
    return [
        Query(row["query"], row["path"], row["identity"], row["camera"], row["ap"], row["first_hit"]) for row in rows
    ]


def read_ranked(root: Path, key: str, query: int) -> Ranked:
    """Return the ranked list of one query. Raises UserError if it is not here."""
    rows = _read(root, key, ["gallery", "correct"], query)
    if len(rows) != 1:
        raise UserError(f"{key} has no query {query}")
    return Ranked(tuple(rows[0]["gallery"]), tuple(rows[0]["correct"]))


def _read(root: Path, key: str, columns: list[str], query: int | None = None) -> list[dict[str, Any]]:
    import pyarrow as pa  # slow to import
    import pyarrow.parquet as pq

    path = root / "results" / "runs" / parse_key(key).key / "queries.parquet"
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
