"""What tests of methods share."""

from __future__ import annotations

import hashlib
import json
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from harness.data.prepared import open_prepared


def shuffle_identities(prepared: Path) -> None:
    """Give the training images of a prepared dataset one another's identities."""
    path = prepared / "manifest.parquet"
    table = pq.read_table(path)
    identities = table["identity"].to_numpy().copy()
    training = np.flatnonzero(table["split"].to_numpy(zero_copy_only=False) == "train")
    identities[training] = np.random.default_rng(0).permutation(identities[training])
    column = table.schema.get_field_index("identity")
    pq.write_table(table.set_column(column, "identity", pa.array(identities)), path)
    info = json.loads((prepared / "info.json").read_text())
    info["files"][path.name] = hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
    (prepared / "info.json").write_text(json.dumps(info))
    assert (open_prepared(prepared).split("train").ids == identities[training]).all()


def defaults_of(model: Any) -> Iterator[str]:
    """Yield every field, at any depth of a model, that a spec could leave out."""
    if isinstance(model, type) and issubclass(model, BaseModel):
        for name, field in model.model_fields.items():
            if not field.is_required():
                yield name
            yield from (f"{name}.{inner}" for inner in defaults_of(field.annotation))
    for part in typing.get_args(model):
        yield from defaults_of(part)
