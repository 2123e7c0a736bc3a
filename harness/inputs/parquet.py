"""Parquet tables with the columns and types that they must have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import UserError
from harness.inputs.files import check_regular, read_bytes
from harness.inputs.limits import ROWS, TABLE_BYTES

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq


def read_table(path: Path, columns: Mapping[str, pa.DataType], remedy: str) -> pa.Table:
    """Return `columns` of the table in `path`, cast to the types given. Raises UserError that ends in `remedy`."""
    return parse_table(read_bytes(path, TABLE_BYTES), path, columns, remedy)


def load_table(source: Path | bytes, path: Path | None = None, group: int | None = None) -> pa.Table:
    """Return every column of a Parquet file, or of its bytes that were read from `path`, as it is stored.

    `group`: only this row group. Pages that carry a checksum must agree with it. Raises UserError.

    Never `pyarrow.parquet.read_table`: it reads through Arrow's dataset scanner, whose threads may outlive the
    interpreter, which then ends with "terminate called without an active exception" and exit code 134.
    """
    with _opened(source, path) as file:
        return file.read() if group is None else file.read_row_group(group)


def read_metadata(path: Path) -> dict[str, str]:
    """Return what a Parquet file says of itself, by name. Raises UserError."""
    with _opened(path, path) as file:
        return {name.decode(): value.decode() for name, value in (file.schema_arrow.metadata or {}).items()}


@contextmanager
def _opened(source: Path | bytes, path: Path | None) -> Iterator[pq.ParquetFile]:
    import pyarrow as pa  # slow to import
    import pyarrow.parquet as pq

    name = path or (source if isinstance(source, Path) else "it")
    if isinstance(source, Path):
        check_regular(source)
    try:
        where = source if isinstance(source, Path) else pa.BufferReader(source)
        with pq.ParquetFile(where, page_checksum_verification=True) as file:
            _check_size(file.metadata, str(name))
            yield file
    except (pa.ArrowException, OSError, ValueError, IndexError, MemoryError) as error:
        raise UserError(f"{name}: not readable as Parquet: {_first_line(error)}") from None


def rows_of(table: pa.Table, path: Path) -> list[dict[str, Any]]:
    """Return the rows of a table that somebody else may have written. Raises UserError for what Python cannot hold."""
    try:
        rows: list[dict[str, Any]] = table.to_pylist()
    except Exception as error:  # dates beyond the year 9999, texts that are none, and what later versions bring
        raise UserError(f"{path}: holds a value that cannot be read: {_first_line(error)}") from None
    return rows


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _check_size(meta: pq.FileMetaData, name: str) -> None:
    size = sum(meta.row_group(group).total_byte_size for group in range(meta.num_row_groups))
    if meta.num_rows > ROWS or size > TABLE_BYTES:
        raise UserError(f"{name}: claims {meta.num_rows:,} rows and {size / 2**20:,.0f} MiB")


def parse_table(data: bytes, path: Path, columns: Mapping[str, pa.DataType], remedy: str) -> pa.Table:
    """Return `columns` of the table in `data`, which was read from `path`. Raises UserError that ends in `remedy`."""
    import pyarrow as pa  # slow to import

    try:
        with _opened(data, path) as file:
            missing = [name for name in columns if name not in file.schema_arrow.names]
            if missing:
                raise UserError(f"{path}: lacks the columns {', '.join(missing)}")
            table = file.read(columns=list(columns)).select(list(columns))
        return table.cast(pa.schema(list(columns.items())))
    except UserError as error:
        raise UserError(f"{error}; {remedy}") from None
    except (pa.ArrowException, ValueError, MemoryError) as error:
        raise UserError(f"{path}: not readable as Parquet: {_first_line(error)}; {remedy}") from None
