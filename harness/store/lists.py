"""Ranked lists of queries: from a run's `queries.parquet`, or from the compact ones that git carries.

`results/published-lists.parquet` holds the top 20 of one seed of the headline methods, one row group per run, so that
a fresh clone has something to look at. Its size stays below `LIMIT`: similarities are kept to 1/127, AP to 1/65534.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import UserError
from harness.inputs.files import MissingFileError, read_text
from harness.inputs.parquet import load_table, read_metadata, rows_of
from harness.paths import (
    foreign_key,
    imported_folder,
    published_lists_file,
    replacing,
    result_folder,
    run_folder,
    runs_folder,
)
from harness.pipeline.pipelines import evaluate_stage
from harness.pipeline.records import QUERY_COLUMNS, QUERY_EXTRAS, WRONG_BINS
from harness.specs import Registry
from harness.specs.pairing import parse_key
from harness.store.run_files import verified_queries

LIMIT = 1_500_000
"""Bytes of the published lists."""
STEPS = 65534
TENTH = 127


@dataclass(frozen=True)
class Query:
    """One query: index in its split, path below the dataset's folder, labels, AP in [0, 1] or None without a match."""

    index: int
    path: str
    identity: int
    camera: int
    ap: float | None
    first_hit: int | None
    similarity: float | None = None
    """Of the first image in its list, where that is stored."""


@dataclass(frozen=True)
class Ranked:
    """The best gallery items of a query and all right ones, as indices into the gallery split.

    `correct` says of each of the best whether it is right. Similarities are cosines; they and the right ones are empty
    for a run that was evaluated before they were stored. `wrong` counts the similarities of wrong images, spread over
    the gallery, in `WRONG_BINS` equal bins of [-1, 1].
    """

    gallery: tuple[int, ...]
    correct: tuple[bool, ...]
    similarity: tuple[float, ...] = ()
    matches: tuple[int, ...] = ()
    match_ranks: tuple[int, ...] = ()
    match_similarity: tuple[float, ...] = ()
    wrong: tuple[int, ...] = ()


def lists_path(root: Path) -> Path:
    """Return where the published lists lie."""
    return published_lists_file(root)


def with_lists(root: Path) -> frozenset[str]:
    """Return the keys of the runs whose ranked lists are on this machine."""
    own = {path.parent.name for path in runs_folder(root).glob("*/queries.parquet")}
    for path in imported_folder(root).glob("*/*/queries.parquet"):
        own.add(foreign_key(path.parent.name, path.parents[1].name))
    return frozenset(own | _published_keys(root).keys())


def read_queries(root: Path, key: str) -> list[Query]:
    """Return a run's queries in split order. Raises UserError if its lists are not here."""
    rows = _rows(root, key, ("query", "path", "identity", "camera", "ap", "first_hit", "similarity"))
    return [
        Query(row["query"], row["path"], row["identity"], row["camera"], row["ap"], row["first_hit"],
              next(iter(row.get("similarity") or ()), None))
        for row in rows
    ]  # fmt: skip


def read_ranked(root: Path, key: str, query: int) -> Ranked:
    """Return the ranked list of one query. Raises UserError if it is not here."""
    rows = _rows(root, key, ("gallery", "correct", "match_ranks", *QUERY_EXTRAS), query)
    if len(rows) != 1:
        raise UserError(f"{key} has no query {query}")
    return Ranked(**{name: tuple(value or ()) for name, value in rows[0].items()})


def read_lists(root: Path, key: str) -> dict[str, Any]:
    """Return the columns query, camera, gallery, correct, matches and match_ranks of a run, as lists by query."""
    rows = _rows(root, key, ("query", "camera", "gallery", "correct", "matches", "match_ranks"))
    return {name: [row.get(name) for row in rows] for name in (rows[0] if rows else {})}


def _rows(root: Path, key: str, columns: Sequence[str], query: int | None = None) -> list[dict[str, Any]]:
    path = result_folder(root, parse_key(key).key) / "queries.parquet"
    group = None if path.exists() else _published_keys(root).get(key)
    try:
        if group is not None:
            table = load_table(lists_path(root), group=group)
        else:
            table = load_table(verified_queries(path.parent), path)
        table = table.select([name for name in columns if name in table.column_names])
        rows = rows_of(table if query is None else table.slice(query, 1), path)
        return rows if group is None else [_unpacked(row) for row in rows]
    except MissingFileError:
        raise UserError(
            f"The ranked lists of {key} are not on this machine: {_fetch(root, key)}`harness run {key}` computes them."
        ) from None
    except UserError as error:
        if group is not None:
            raise UserError(f"{str(error).replace(f'{root}/', '')}; `git checkout` brings it back") from None
        raise UserError(f"results/runs/{key}/{str(error).replace(f'{path.parent}/', '')}") from None


def _fetch(root: Path, key: str) -> str:
    """How DVC fetches them, where it has a remote to fetch them from."""
    try:
        remote = any("['remote" in read_text(root / ".dvc" / name) for name in ("config", "config.local")
                     if (root / ".dvc" / name).exists())  # fmt: skip
    except UserError:
        remote = False
    return f"`dvc pull {evaluate_stage(parse_key(key))}` fetches them, " if remote else ""


def _published_keys(root: Path) -> dict[str, int]:
    """The row group of each published run."""
    path = lists_path(root)
    if not path.exists():
        return {}
    try:
        listed = read_metadata(path)["keys"]
    except (UserError, KeyError, UnicodeDecodeError):
        return {}
    return {key: group for group, key in enumerate(listed.split())}


def publish_lists(root: Path, maps: Mapping[str, float], limit: int = LIMIT) -> list[str]:
    """Write the lists of as many headline runs as fit into `limit` bytes; return their keys.

    `maps` has the mAP of every published run. Headline: one seed of every method that is no ablation, floor or start;
    by turns the best of every task. Runs that are not on this machine keep the lists that were published of them.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    packed: dict[str, Any] = {}
    size, before = 0, _published_keys(root)
    for key in _headline(Registry.load(root), maps):
        path = run_folder(root, key) / "queries.parquet"
        if path.exists():
            stored = load_table(path)
            table = _packed(stored.select([n for n in (*QUERY_COLUMNS, *QUERY_EXTRAS) if n in stored.column_names]))
        elif key in before:
            table = load_table(lists_path(root), group=before[key])
        else:
            continue
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd", compression_level=19)
        size += sink.getvalue().size
        if size > limit:
            break
        packed[key] = table
    if not packed:
        lists_path(root).unlink(missing_ok=True)
        return []
    schema = next(iter(packed.values())).schema.with_metadata({b"keys": " ".join(packed).encode()})
    with (
        replacing(lists_path(root)) as partial,
        pq.ParquetWriter(partial, schema, compression="zstd", compression_level=19, write_page_checksum=True) as writer,
    ):
        for table in packed.values():
            writer.write_table(table.cast(schema))
    return list(packed)


def _headline(registry: Registry, maps: Mapping[str, float]) -> list[str]:
    """The first seed of each method and task, best of every task first, then every second one, and so on."""
    first: dict[tuple[str, str], str] = {}
    for key in sorted(maps):
        pairing = parse_key(key)
        spec = registry.methods.get(pairing.method)
        if spec is not None and spec.role == "method":
            first.setdefault((pairing.task, pairing.method), key)
    tasks: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for (task, _), key in first.items():
        tasks[task].append((-maps[key], key))
    turns = [(turn, task, key) for task, runs in tasks.items() for turn, (_, key) in enumerate(sorted(runs))]
    return [key for _, _, key in sorted(turns)]


def _packed(table: Any) -> Any:
    """The columns in as few bits as looking needs; absent ones are empty."""
    import pyarrow as pa

    count = len(table)

    def column(name: str) -> list[Any]:
        return table[name].to_pylist() if name in table.column_names else [[]] * count

    def cosines(name: str) -> Any:
        return pa.array([[round(TENTH * value) for value in row] for row in column(name)], pa.list_(pa.int8()))

    ap = [None if value is None else round(STEPS * value) for value in column("ap")]
    return pa.table({
        "query": pa.array(column("query"), pa.int32()),
        "path": pa.array(column("path")),
        "identity": pa.array(column("identity"), pa.int32()),
        "camera": pa.array(column("camera"), pa.int16()),
        "ap": pa.array(ap, pa.uint16()),
        "first_hit": pa.array(column("first_hit"), pa.int32()),
        "gallery": pa.array(column("gallery"), pa.list_(pa.int32())),
        "correct": pa.array(column("correct"), pa.list_(pa.bool_())),
        "similarity": cosines("similarity"),
        "matches": pa.array(column("matches"), pa.list_(pa.int32())),
        "match_ranks": pa.array(column("match_ranks"), pa.list_(pa.int32())),
        "match_similarity": cosines("match_similarity"),
    })  # fmt: skip


def _unpacked(row: dict[str, Any]) -> dict[str, Any]:
    if row.get("ap") is not None:
        row["ap"] /= STEPS
    for name in ("similarity", "match_similarity"):
        if name in row:
            row[name] = [value / TENTH for value in row[name]]
    return row


def camera_pairs(
    queries: Sequence[int], gallery_cameras: Any, lists: dict[str, Any]
) -> dict[tuple[int, int], tuple[float | None, float | None]]:
    """Return, by (query camera, gallery camera), the mAP for the right images of that camera and the share of wrong.

    `queries` has the camera of each query, `lists` what `read_lists` returns. The mAP of a pair leaves the right images
    of other cameras out of the ranking; before the i-th right image, at rank r, are r - i wrong ones, so the ranks of
    the right images are enough. The share is that of wrong images among the listed ones which this camera took.
    """
    ap: dict[tuple[int, int], list[float]] = defaultdict(list)
    seen: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0])
    cameras = np.asarray(gallery_cameras)
    matches = lists.get("matches") or [None] * len(queries)
    ranks = lists.get("match_ranks") or [None] * len(queries)
    for camera, best, right, found, places in zip(
        queries, lists["gallery"], lists["correct"], matches, ranks, strict=True
    ):
        for index, hit in zip(best, right, strict=True):
            if 0 <= index < len(cameras):
                count = seen[camera, int(cameras[index])]
                count[0] += not hit
                count[1] += 1
        if found:
            before = np.asarray(places) - np.arange(1, len(found) + 1)
            taken = cameras[np.asarray(found)]
            for other in np.unique(taken):
                wrong = before[taken == other]
                hits = np.arange(1, len(wrong) + 1)
                ap[camera, int(other)].append(float((hits / (hits + wrong)).mean()))
    return {
        pair: (
            100 * float(np.mean(ap[pair])) if ap.get(pair) else None,
            100 * seen[pair][0] / seen[pair][1] if pair in seen and seen[pair][1] else None,
        )
        for pair in sorted({*ap, *seen})
    }


def histogram(ranked: Ranked) -> list[dict[str, Any]]:
    """Return the bins (low, high, share, kind) of right and wrong similarities; the shares of a kind add up to 1."""
    edges = np.linspace(-1, 1, WRONG_BINS + 1)
    rows = []
    right, _ = np.histogram(np.array(ranked.match_similarity, float), edges)
    for kind, counts in (("right", right), ("wrong", np.array(ranked.wrong, float))):
        if counts.sum():
            rows += [
                {"low": float(low), "high": float(high), "share": float(count / counts.sum()), "kind": kind}
                for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True) if count
            ]  # fmt: skip
    return rows
