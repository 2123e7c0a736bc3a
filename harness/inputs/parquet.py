"""Parquet tables with the columns and types that they must have."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UserError
from harness.inputs.files import read_bytes
from harness.inputs.limits import ROWS, TABLE_BYTES

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq


def read_table(path: Path, columns: Mapping[str, pa.DataType], remedy: str) -> pa.Table:
    """Return `columns` of the table in `path`, cast to the types given. Raises UserError that ends in `remedy`."""
    return parse_table(read_bytes(path, TABLE_BYTES), path, columns, remedy)


def load_table(source: Path | bytes) -> pa.Table:
    """Return every column of a Parquet file, or of its bytes, as it is stored.

    Never `pyarrow.parquet.read_table`: it reads through Arrow's dataset scanner, whose threads may outlive the
    interpreter, which then ends with "terminate called without an active exception" and exit code 134.

    Raises OSError or pyarrow.ArrowException, and UserError for a file that claims more rows or bytes than any of ours.
    """
    import pyarrow as pa  # slow to import
    import pyarrow.parquet as pq

    with pq.ParquetFile(pa.BufferReader(source) if isinstance(source, bytes) else source) as file:
        _check_size(file.metadata, "it" if isinstance(source, bytes) else str(source))
        return file.read()


def _check_size(meta: pq.FileMetaData, name: str) -> None:
    size = sum(meta.row_group(group).total_byte_size for group in range(meta.num_row_groups))
    if meta.num_rows > ROWS or size > TABLE_BYTES:
        raise UserError(f"{name}: claims {meta.num_rows:,} rows and {size / 2**20:,.0f} MiB")


def parse_table(data: bytes, path: Path, columns: Mapping[str, pa.DataType], remedy: str) -> pa.Table:
    """Return `columns` of the table in `data`, which was read from `path`. Raises UserError that ends in `remedy`."""
    import pyarrow as pa  # slow to import
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        _check_size(file.metadata, str(path))
        missing = [name for name in columns if name not in file.schema_arrow.names]
        if missing:
            raise UserError(f"{path}: lacks the columns {', '.join(missing)}; {remedy}")
        table = file.read(columns=list(columns)).select(list(columns))
        return table.cast(pa.schema(list(columns.items())))
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise UserError(f"{path}: not readable as Parquet: {str(error).splitlines()[0]}; {remedy}") from None
