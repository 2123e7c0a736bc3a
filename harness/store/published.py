"""`results/published.json`: the results of the whole plan, small enough for git, for a fresh clone to show.

Records and metrics are exact; curves are rounded to seven digits, AP per query to 1/65534 (below 0.001 points of mAP).
Which queries show the same identity stands once per dataset: comparisons need it.
"""

from __future__ import annotations

import base64
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from harness import __version__
from harness.errors import UserError
from harness.pipeline.records import Metrics, Record
from harness.specs import Registry
from harness.specs.base import Frozen
from harness.store.run_files import BrokenResultError, RunResult, check_record, digest, read_run

STEPS = 65534
NO_MATCH = 65535


class PublishedRun(Frozen):
    """One run, without its checkpoint and ranked lists."""

    record: Record
    metrics: Metrics
    history: dict[str, list[float | None]]
    ap: str


class Published(Frozen):
    """The snapshot, and the version of the code that wrote it."""

    version: str
    written: datetime
    identities: dict[str, str] = Field(
        default_factory=dict, description="hash of a target's data -> number of each query's identity, base64 of uint16"
    )
    runs: dict[str, PublishedRun]


def published_path(root: Path) -> Path:
    """Return where the snapshot lies."""
    return root / "results" / "published.json"


def publish(root: Path, partial: bool = False) -> int:
    """Write the snapshot of every planned run that is finished under `root`; return how many.

    Raises UserError if a planned run is missing or broken, unless `partial`: half a plan misleads whoever does not
    know that it is half.
    """
    planned = Registry.load(root).checked().planned
    runs, identities, wrong = {}, {}, []
    for key in sorted(planned):
        folder = root / "results" / "runs" / key
        if digest(folder) is None:
            wrong.append(f"{key}: not finished")
            continue
        try:
            result = read_run(folder)
        except BrokenResultError as error:
            wrong.append(f"{key}: {error}")
            continue
        runs[key] = _packed(result)
        if result.identities is not None:
            data = result.record.data_hashes.get(result.record.target, "")
            identities[data] = packed_identities(result.identities)
    if not runs or (wrong and not partial):
        listed = "\n".join(f"  {line}" for line in wrong[:10]) or "  pairings.yaml plans no run"
        raise UserError(f"nothing published; run `make full` first. {len(wrong)} planned runs are missing:\n{listed}")
    snapshot = Published(version=__version__, written=datetime.now(UTC), identities=identities, runs=runs)
    _write(published_path(root), snapshot)
    return len(runs)


def read_published(root: Path) -> Published | None:
    """Return the snapshot, or None if there is none. Raises BrokenResultError."""
    path = published_path(root)
    if not path.exists():
        return None
    try:
        return Published.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise BrokenResultError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def unpacked(key: str, run: PublishedRun) -> RunResult:
    """Return a published run in the form of a local one. Raises BrokenResultError."""
    check_record(run.record, key)
    try:
        steps = np.frombuffer(base64.b64decode(run.ap, validate=True), dtype="<u2")
    except ValueError as error:
        raise BrokenResultError(f"{key}: ap: {error}") from None
    ap = np.where(steps == NO_MATCH, np.nan, steps / STEPS).astype(np.float32)
    return RunResult(run.record, run.metrics, ap, run.history)


def packed_identities(identities: NDArray[np.int32]) -> str:
    """Return the identity's number of every query as base64 of little-endian 16-bit numbers.

    Raises UserError for more identities than these can number.
    """
    if identities.max(initial=0) > np.iinfo(np.uint16).max:
        raise UserError(f"{identities.max() + 1} identities among the queries: a snapshot has room for 65,536")
    return base64.b64encode(identities.astype("<u2").tobytes()).decode("ascii")


def unpacked_identities(packed: str) -> NDArray[np.int32]:
    """Return the identity's number of every query. Raises BrokenResultError."""
    try:
        return np.frombuffer(base64.b64decode(packed, validate=True), dtype="<u2").astype(np.int32)
    except ValueError as error:
        raise BrokenResultError(f"identities: {error}") from None


def _packed(result: RunResult) -> PublishedRun:
    history = {name: [_rounded(value) for value in curve] for name, curve in result.history.items()}
    return PublishedRun(record=result.record, metrics=result.metrics, history=history, ap=quantized(result.ap))


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.7g}")


def quantized(ap: NDArray[np.float32]) -> str:
    """Return AP values in [0, 1] (NaN: no match) as base64 of little-endian 16-bit steps."""
    steps = np.where(np.isnan(ap), NO_MATCH, np.rint(np.nan_to_num(ap) * STEPS)).astype("<u2")
    return base64.b64encode(steps.tobytes()).decode("ascii")


def _write(path: Path, snapshot: Published) -> None:
    """Write one run per line, so that a diff in git shows which runs changed."""
    document = snapshot.model_dump(mode="json")
    runs = document.pop("runs")
    lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(run, separators=(',', ':'))}" for key, run in runs.items())
    head = json.dumps(document)[:-1]
    partial = path.with_suffix(".partial")
    partial.write_text(f'{head}, "runs": {{\n{lines}\n}}}}\n', encoding="utf-8")
    os.replace(partial, path)  # noqa: PTH105 - atomic
