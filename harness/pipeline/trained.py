"""What the train stage left in a run's folder, verified: the record, and the history that it vouches for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from harness.errors import UserError
from harness.inputs.csv import Columns, parse_numbers
from harness.inputs.files import read_bytes
from harness.inputs.json import parse_sealed
from harness.pipeline.records import HISTORY_COLUMNS, LabelFree, Metrics, Record
from harness.specs.pairing import parse_key

Result = TypeVar("Result", Metrics, LabelFree)


@dataclass(frozen=True)
class Trained:
    """A trained run; `record_sha256` is the hash of the file, which metrics state."""

    record: Record
    record_sha256: str
    history: Columns


def read_trained(folder: Path) -> Trained:
    """Read record and history of the run in `folder`. Raises UserError if one is missing, damaged or another run's."""
    data = read_bytes(folder / "record.json")
    record = parse_sealed(data, Path("record.json"), Record)
    check_record(record, folder.name)
    history = read_bytes(folder / "history.csv")
    if hashlib.sha256(history).hexdigest() != record.history_sha256:
        raise UserError("history.csv is not the one that record.json describes; train again, or `dvc checkout`")
    return Trained(record, hashlib.sha256(data).hexdigest(), check_history(parse_numbers(history, Path("history.csv"))))


def read_scores(folder: Path) -> Metrics | None:
    """Return the metrics of the run in `folder`; None if there are none that can be read, or only an older record's."""
    return _read(folder, Metrics)


def read_label_free(folder: Path) -> LabelFree | None:
    """Return the figures of a run on a target without labeled test images; None as in `read_scores`."""
    return _read(folder, LabelFree)


def _read(folder: Path, model: type[Result]) -> Result | None:
    try:
        metrics = parse_sealed(read_bytes(folder / "metrics.json"), Path("metrics.json"), model)
        record = hashlib.sha256(read_bytes(folder / "record.json")).hexdigest()
    except UserError:
        return None
    return metrics if metrics.record_sha256 == record else None


def check_record(record: Record, name: str) -> None:
    """Raise UserError unless the record belongs to the run called `name`."""
    pairing = parse_key(name)
    stated = (record.key, record.method, record.source, record.target, record.seed)
    if stated != (name, pairing.method, pairing.source, pairing.target, pairing.seed):
        raise UserError(f"record.json belongs to {record.key}, not to {name}")
    if record.started.tzinfo is None:
        raise UserError("record.json: `started` has no time zone")


def check_history(history: Columns) -> Columns:
    """Return `history` if it has every column, and epochs and scores that can be. Raises UserError."""
    missing = [name for name in HISTORY_COLUMNS if name not in history]
    if missing:
        raise UserError(f"history.csv lacks the columns {', '.join(missing)}")
    if history["epoch"] != list(range(1, len(history["epoch"]) + 1)):
        raise UserError("history.csv: its epochs are not 1, 2, 3, …")
    if len({len(column) for column in history.values()}) != 1:
        raise UserError("history.csv: its columns differ in length")
    for name in ("target_map", "target_rank1"):
        if not all(value is None or 0 <= value <= 100 for value in history[name]):
            raise UserError(f"history.csv: {name} lies outside 0 to 100")
    return history
