"""Features of many pictures in one file, with the model that made them: features of two models do not compare.

Parquet: one row per picture, columns path and feature. NumPy: the bare matrix, with paths and model in a JSON file
beside it. HDF5: embeddings, ids (-1: unknown) and paths, as the CHIRLA benchmark reads them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness.errors import UserError
from harness.inputs.arrays import read_array
from harness.inputs.files import MissingFileError, check_regular
from harness.inputs.json import parse_json, read_json
from harness.inputs.limits import TABLE_BYTES
from harness.inputs.parquet import load_table
from harness.matrix import Matrix
from harness.paths import replacing, write_text

if TYPE_CHECKING:
    from types import ModuleType

ABOUT = "reid-harness"
"""Where a file of features says what it holds."""


class NoPackageError(UserError):
    """A kind of file needs a package that is not installed."""


@dataclass(frozen=True)
class Features:
    """L2-normalized features, float32 [N, d], of N pictures."""

    matrix: Matrix
    paths: tuple[str, ...]  # below `folder`
    folder: str  # as the user named it
    run: str
    checkpoint: str  # SHA-256 of the weights that made them

    @property
    def about(self) -> dict[str, Any]:
        """What a file says beside matrix and paths."""
        return {"run": self.run, "checkpoint": self.checkpoint, "folder": self.folder, "similarity": "cosine"}


def write_features(features: Features, path: Path) -> None:
    """Write a file of the kind that its suffix names, whole or not at all. Raises UserError for another suffix."""
    _kind(path)[0](features, path)


def read_features(path: Path) -> Features:
    """Return what `write_features` wrote. Raises UserError if it is something else, or damaged."""
    read = _kind(path)[1]
    try:
        found = read(path)
    except (MissingFileError, NoPackageError):
        raise
    except (UserError, OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, pa.ArrowException) as error:
        why = str(error).removeprefix(f"{path}: ").splitlines()
        raise UserError(
            f"{path}: holds no features that `harness embed` wrote ({why[0] if why else type(error).__name__})"
        ) from error
    if found.matrix.ndim != 2 or len(found.matrix) != len(found.paths) or found.matrix.dtype != np.float32:
        raise UserError(f"{path}: holds {found.matrix.dtype} {found.matrix.shape} for {len(found.paths)} paths")
    return found


def check_output(path: Path) -> None:
    """Raise UserError if no features can be written to `path`: before any work is done."""
    _kind(path)
    if path.suffix == ".h5":
        _h5py()
    if path.is_dir():
        raise UserError(f"{path}: is a folder")


def _of(matrix: Matrix, paths: list[str], about: dict[str, Any]) -> Features:
    return Features(matrix, tuple(paths), about["folder"], about["run"], about["checkpoint"])


def _write_parquet(features: Features, path: Path) -> None:
    flat = pa.array(features.matrix.reshape(-1))
    table = pa.table(
        {
            "path": pa.array(features.paths, pa.string()),
            "feature": pa.FixedSizeListArray.from_arrays(flat, features.matrix.shape[1]),
        }
    ).replace_schema_metadata({ABOUT: json.dumps(features.about)})
    with replacing(path) as partial:
        pq.write_table(table, partial, compression="zstd", write_page_checksum=True)


def _read_parquet(path: Path) -> Features:
    table = load_table(path)
    about = parse_json((table.schema.metadata or {})[ABOUT.encode()], path)
    size = table.schema.field("feature").type.list_size
    matrix = table["feature"].combine_chunks().flatten().to_numpy().reshape(-1, size)
    return _of(matrix, table["path"].to_pylist(), about)


def _write_npy(features: Features, path: Path) -> None:
    document = features.about | {"paths": features.paths}
    with replacing(path) as partial:
        with partial.open("wb") as file:
            np.save(file, features.matrix, allow_pickle=False)
        write_text(path.with_suffix(".json"), json.dumps(document, indent=1) + "\n")


def _read_npy(path: Path) -> Features:
    matrix = np.ascontiguousarray(read_array(path))
    document = read_json(path.with_suffix(".json"), TABLE_BYTES)
    return _of(matrix, document["paths"], document)


def _write_hdf5(features: Features, path: Path) -> None:
    h5py = _h5py()
    with replacing(path) as partial, h5py.File(partial, "w") as file:
        file["embeddings"] = features.matrix
        file["ids"] = np.full(len(features.paths), -1, np.int32)
        file.create_dataset("paths", data=list(features.paths), dtype=h5py.string_dtype())
        file.attrs[ABOUT] = json.dumps(features.about)


def _read_hdf5(path: Path) -> Features:
    h5py = _h5py()
    check_regular(path)
    with h5py.File(path) as file:
        paths = [name.decode("utf-8") for name in file["paths"][:]]
        return _of(file["embeddings"][:], paths, parse_json(str(file.attrs[ABOUT]).encode(), path))


def _h5py() -> ModuleType:
    try:
        import h5py
    except ImportError as error:
        raise NoPackageError("HDF5 needs the package h5py: pip install 'reid-harness[export]'") from error
    found: ModuleType = h5py
    return found


Kind = tuple[Callable[[Features, Path], None], Callable[[Path], Features]]
KINDS: dict[str, Kind] = {
    ".parquet": (_write_parquet, _read_parquet),
    ".npy": (_write_npy, _read_npy),
    ".h5": (_write_hdf5, _read_hdf5),
}


def _kind(path: Path) -> Kind:
    if path.suffix not in KINDS:
        raise UserError(f"{path}: a file of features ends in one of: {' '.join(KINDS)}")
    return KINDS[path.suffix]
