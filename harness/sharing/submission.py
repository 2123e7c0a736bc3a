"""Features of a method that was trained elsewhere, scored here: the row says that only the evaluation is ours.

A file of features (Parquet or HDF5) has one row per image: `path` and `feature` (Parquet), or `paths` and `embeddings`
(HDF5), as `harness embed` writes them. The paths decide which image is which; the order does not matter.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import pyarrow as pa

from harness.data.prepared import Prepared, Split, open_prepared
from harness.drafts import draft_folder
from harness.errors import DiskError, UserError
from harness.inputs.files import MissingFileError, check_regular
from harness.inputs.json import sealed
from harness.inputs.parquet import load_table
from harness.matrix import Matrix
from harness.paths import imported_folder, prepared_folder
from harness.pipeline.records import HISTORY_COLUMNS, Hardware, Metrics, Record
from harness.sharing.archive import DRAFT, place
from harness.specs.base import check_slug
from harness.specs.pairing import Pairing
from harness.specs.registry import Registry
from harness.store.origin import Origin, lab_name

if TYPE_CHECKING:
    from types import ModuleType

SHOWN = 3
ELSEWHERE = "trained elsewhere"


class Submission(NamedTuple):
    """Whose features they are, and of what."""

    method: str
    lab: str
    setting: Literal["supervised", "direct", "uda", "usl"]
    target: str
    source: str | None = None
    seed: int = 0
    note: str = ""


def submit_features(registry: Registry, submission: Submission, query: Path, gallery: Path, replace: bool) -> Path:
    """Score features of query and gallery by reid-v1; return the folder of the result.

    Raises UserError for features of other images than the target's, or with a NaN, and for a target that is not
    prepared here.
    """
    try:
        pairing = Pairing(check_slug(submission.method), submission.source, submission.target, submission.seed)
    except ValueError as error:
        raise UserError(str(error)) from None
    dataset = registry.dataset(submission.target)
    needs_source = submission.setting in ("uda", "direct")
    if needs_source != bool(submission.source):
        raise UserError(f"setting {submission.setting!r} {'needs' if needs_source else 'has no'} --source")
    target = open_prepared(prepared_folder(registry.root, submission.target))
    if not target.evaluated:
        raise UserError(f"{submission.target}: has no labeled test images to score")
    begun = time.perf_counter()
    query_features = _ordered(query, target.split("query"), "query", target)
    gallery_features = _ordered(gallery, target.split("gallery"), "gallery", target)
    if query_features.shape[1] != gallery_features.shape[1]:
        raise UserError(
            f"{query}: {query_features.shape[1]} dimensions, {gallery}: {gallery_features.shape[1]}: not of one network"
        )
    sha256 = hashlib.sha256(query_features.tobytes() + gallery_features.tobytes()).hexdigest()
    origin = Origin(lab=lab_name(submission.lab), kind="features", taken_in=datetime.now(UTC), sha256=sha256)
    record = _record(registry, pairing, submission, dataset.regime, target, sha256, query_features.shape[1])
    base = imported_folder(registry.root)
    with ExitStack() as stack:
        try:
            draft = stack.enter_context(draft_folder(base, DRAFT)) / pairing.key
            draft.mkdir()
        except OSError as error:
            raise DiskError(f"{base}: cannot be written: {error.strerror}") from None
        _write(draft, target, record, query_features, gallery_features, begun)
        folder = base / origin.lab / pairing.key
        place(folder, draft, origin, replace)
        return folder


def _write(draft: Path, target: Prepared, record: Record, query: Matrix, gallery: Matrix, begun: float) -> None:
    """Write what the evaluation of a run leaves, and an empty history."""
    import pyarrow.parquet as pq

    from harness.evaluation import evaluate_ranking
    from harness.pipeline.evaluate import TOP_K, normalized, query_table  # with torch

    splits = target.split("query"), target.split("gallery")
    cameras = [split.cameras if target.has_cameras else None for split in splits]
    result = evaluate_ranking(query, gallery, splits[0].ids, splits[1].ids, *cameras, top_k=TOP_K)
    table = query_table(target, result, normalized(query), normalized(gallery))
    pq.write_table(table, draft / "queries.parquet", compression="zstd")
    history = (",".join(HISTORY_COLUMNS) + "\n").encode()
    (draft / "history.csv").write_bytes(history)
    record = record.model_copy(update={"history_sha256": hashlib.sha256(history).hexdigest()})
    text = sealed(record).encode()
    (draft / "record.json").write_bytes(text)
    metrics = Metrics(
        map=100 * result.map, rank1=100 * result.cmc[1], rank5=100 * result.cmc[5], rank10=100 * result.cmc[10],
        minp=100 * result.minp, map_trapezoid=100 * result.map_trapezoid, protocol=record.protocol,
        queries=result.n_valid, queries_without_match=result.n_without_match, gallery=len(splits[1]), best_on_test=None,
        record_sha256=hashlib.sha256(text).hexdigest(), checkpoint_sha256=record.checkpoint_sha256,
        queries_sha256=hashlib.sha256((draft / "queries.parquet").read_bytes()).hexdigest(),
        seconds=time.perf_counter() - begun,
    )  # fmt: skip
    (draft / "metrics.json").write_text(sealed(metrics), encoding="utf-8")


def _record(
    registry: Registry, pairing: Pairing, submission: Submission, regime: str, target: Prepared, sha256: str, size: int
) -> Record:
    from harness.evaluation import PROTOCOL
    from harness.pipeline.code import code_version

    note = f"only the evaluation is ours: {size} numbers per image, given by {submission.lab}"
    return Record(
        key=pairing.key, method=pairing.method, setting=submission.setting, source=pairing.source,
        target=pairing.target, seed=pairing.seed, regime=regime, spec={}, spec_hash="",
        code_version=code_version(registry.root), data_hashes={pairing.target: target.data_hash}, init=(ELSEWHERE,),
        protocol=PROTOCOL, bn_groups=1, precision="not known",
        hardware=Hardware(device="not known", threads=0, platform="not known"), versions={}, started=datetime.now(UTC),
        seconds=0, cpu_seconds=0, gpu_seconds=0, peak_memory_gib=0, images_per_second=None, epochs=0,
        checkpoint_sha256=sha256, notes=(note, *filter(None, [submission.note])),
    )  # fmt: skip


def _ordered(path: Path, split: Split, name: str, target: Prepared) -> Matrix:
    """Return the features of a split's images, in its order, float32 [N, d]. Raises UserError."""
    paths, matrix = _read(path)
    if matrix.ndim != 2 or len(matrix) != len(paths) or not len(paths):
        raise UserError(f"{path}: holds {matrix.shape} numbers for {len(paths)} paths")
    if not np.isfinite(matrix).all():
        bad = int(np.flatnonzero(~np.isfinite(matrix).all(axis=1))[0])
        raise UserError(f"{path}: the feature of {paths[bad]!r} is not finite")
    if not matrix.any(axis=1).all():
        bad = int(np.flatnonzero(~matrix.any(axis=1))[0])
        raise UserError(f"{path}: the feature of {paths[bad]!r} is zero, and has no cosine")
    rows: dict[str, int] = {}
    for row, stated in enumerate(paths):
        if rows.setdefault(_plain(stated), row) != row:
            raise UserError(f"{path}: {stated!r} stands in it twice")
    by_name = {PurePosixPath(key).name: row for key, row in rows.items()}
    names = [PurePosixPath(wanted).name for wanted in split.paths]
    whole = all(wanted in rows for wanted in split.paths)
    unique = len(set(names)) == len(names) and len(by_name) == len(rows)
    index, keys = (rows, split.paths) if whole or not unique else (by_name, names)
    missing = [wanted for wanted in keys if wanted not in index]
    if missing or len(rows) != len(keys):
        strange = sorted(set(index) - set(keys))
        raise UserError(
            f"{path}: holds features of {len(rows)} images, the {name} of {target.name} has {len(keys)}: "
            + "; ".join(
                f"{len(odd)} {what}, like {', '.join(odd[:SHOWN])}"
                for odd, what in ((missing, "missing"), (strange, "that are not in it")) if odd
            )
        )  # fmt: skip
    return np.ascontiguousarray(matrix[[index[wanted] for wanted in keys]], dtype=np.float32)


def _plain(path: str) -> str:
    return path.replace("\\", "/").removeprefix("./")


def _read(path: Path) -> tuple[list[str], Matrix]:
    h5py = _h5py() if path.suffix in (".h5", ".hdf5") else None
    try:
        check_regular(path)
        if path.suffix == ".parquet":
            table = load_table(path)
            column = table["feature"].combine_chunks()
            matrix = (
                np.stack([np.asarray(row, np.float32) for row in column.to_pylist()])
                if len(column)
                else np.empty((0, 0))
            )
            return [str(name) for name in table["path"].to_pylist()], matrix.astype(np.float32)
        if h5py:
            with h5py.File(path) as file:
                names = [name.decode("utf-8") if isinstance(name, bytes) else str(name) for name in file["paths"][:]]
                return names, np.asarray(file["embeddings"][:], np.float32)
    except MissingFileError:
        raise
    except (UserError, OSError, KeyError, ValueError, TypeError, pa.ArrowException) as error:
        raise UserError(
            f"{path}: holds no features: Parquet has the columns path and feature, HDF5 has paths and embeddings "
            f"({(str(error).removeprefix(f'{path}: ') or type(error).__name__).splitlines()[0]})"
        ) from None
    raise UserError(f"{path}: features are a .parquet or .h5 file")


def _h5py() -> ModuleType:
    try:
        import h5py
    except ImportError as error:
        raise UserError("HDF5 needs the package h5py: pip install 'reid-harness[export]'") from error
    found: ModuleType = h5py
    return found
