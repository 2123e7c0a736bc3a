"""Manifest of a dataset: one row per image with labels, size and content hash; its hash identifies the data."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from harness.data.records import SPLITS, Dataset
from harness.errors import UserError
from harness.inputs.images import Facts
from harness.inputs.parquet import load_table

SCHEMA = pa.schema(
    [
        ("path", pa.string()),  # relative to the dataset's folder, '/' between parts
        ("identity", pa.int64()),
        ("camera", pa.int64()),  # as in the name; negative: the dataset has no camera labels
        ("frame", pa.int64()),  # null where the name has none
        ("split", pa.string()),
        ("width", pa.int32()),  # of the original image, in pixels
        ("height", pa.int32()),
        ("content", pa.string()),  # BLAKE2b-128 of the file, hexadecimal
    ]
)


def build_manifest(dataset: Dataset, facts: Mapping[str, list[Facts]]) -> pa.Table:
    """Return the manifest: train, query, gallery, each in record order, the index order of the arrays."""
    rows = [
        {
            "path": _text(record.path),
            "identity": record.id,
            "camera": record.camera,
            "frame": frame,
            "split": split,
            "width": fact.width,
            "height": fact.height,
            "content": fact.content,
        }
        for split in SPLITS
        for record, frame, fact in zip(dataset.splits[split], dataset.frames[split], facts[split], strict=True)
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def manifest_hash(manifest: pa.Table, height: int, width: int) -> str:
    """Return the data hash, over every row except its frame and over the size to which images are resized."""
    digest = hashlib.blake2b(f"{height}x{width}\n".encode(), digest_size=16)
    columns = ["split", "path", "identity", "camera", "width", "height", "content"]
    for row in zip(*(manifest[column].to_pylist() for column in columns), strict=True):
        digest.update(("\t".join(map(str, row)) + "\n").encode())
    return digest.hexdigest()


def write_manifest(manifest: pa.Table, path: Path) -> None:
    """Write `manifest` to `path` as Parquet; the same rows give the same bytes."""
    pq.write_table(manifest, path, compression="zstd", store_schema=False)


def read_manifest(path: Path) -> pa.Table:
    """Return the manifest at `path`. Raises UserError."""
    try:
        return load_table(path).select(SCHEMA.names).cast(SCHEMA)
    except (UserError, KeyError, ValueError, pa.ArrowException) as error:
        why = str(error).removeprefix(f"{path}: ")
        raise UserError(f"{path}: not a readable manifest: {why}; delete it and run the command again") from error


def _text(path: Path) -> str:
    text = path.as_posix()
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UserError(f"{text!r}: the name is not valid UTF-8; rename the file") from error
    return text
