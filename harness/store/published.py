"""`results/published.json`: the results of the whole plan, small enough for git, for a fresh clone to show.

Records and metrics are exact; curves are rounded to seven digits, AP per query to 1/65534 (below 0.001 points of mAP).
Which queries show the same identity stands once per dataset: comparisons need it.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from harness import __version__
from harness.errors import UserError
from harness.inputs.files import MissingFileError
from harness.inputs.json import read_json, seal, validated
from harness.inputs.limits import PUBLISHED_BYTES
from harness.paths import published_file, run_folder, write_text
from harness.pipeline.records import Metrics, Record
from harness.pipeline.trained import check_history, check_record, read_label_free
from harness.specs import Registry, parse_key
from harness.specs.base import Frozen
from harness.store.lists import publish_lists
from harness.store.run_files import AGREEMENT, BrokenResultError, RunResult, digest, read_run
from harness.store.staleness import staleness

STEPS = 65534
NO_MATCH = 65535


class PublishedRun(Frozen):
    """One run, without its checkpoint and ranked lists. `sha256` is that of the rest, as JSON with sorted keys."""

    record: Record
    metrics: Metrics
    history: dict[str, list[float | None]]
    ap: str
    first_hit: str = Field(default="", description="base64 of one byte per query: rank of the first hit, 255 for more")
    sha256: str = ""


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
    return published_file(root)


def publish(root: Path, partial: bool = False) -> int:
    """Write the snapshot of every planned run that is finished under `root`; return how many.

    A run that is not finished here keeps its place if the snapshot has it and today's specs, code and data would
    compute it again: so a plan may be computed by parts, and on several machines. Raises UserError if a planned run is
    missing or broken, unless `partial`: half a plan misleads whoever does not know that it is half.
    """
    registry = Registry.load(root).checked()
    before, wrong = _snapshot(root), list[str]()
    runs: dict[str, PublishedRun] = {}
    identities: dict[str, str] = {}
    for key in sorted(registry.planned):
        folder = run_folder(root, key)
        try:
            if digest(folder) is None:
                if before is not None and key in before.runs and _is_current(registry, key, before.runs[key]):
                    runs[key] = before.runs[key]
                    identities |= _identities_of(before, runs[key])
                else:
                    wrong.append(f"{key}: not finished")
                continue
            if read_label_free(folder):  # there is no score to publish
                continue
            result = read_run(folder)
        except UserError as error:
            wrong.append(f"{key}: {error}")
            continue
        runs[key] = _packed(result)
        if result.identities is not None:
            data = result.record.data_hashes.get(result.record.target, "")
            identities[data] = packed_identities(result.identities)
    if not runs or (wrong and not partial):
        listed = "\n".join(f"  {line}" for line in wrong[:10]) or "  nothing is planned"
        raise UserError(f"nothing published; run `make full` first. {len(wrong)} planned runs are missing:\n{listed}")
    snapshot = Published(version=__version__, written=datetime.now(UTC), identities=identities, runs=runs)
    _write(published_path(root), snapshot)
    publish_lists(root, {key: run.metrics.map for key, run in runs.items()})
    return len(runs)


def _snapshot(root: Path) -> Published | None:
    """The intact runs of the snapshot that is there, if one is; one that cannot be read is written anew."""
    try:
        found = read_published(root)
    except BrokenResultError:
        return None
    return found[0] if found else None


def _is_current(registry: Registry, key: str, run: PublishedRun) -> bool:
    """Whether a run of the snapshot is intact, and what would come out of computing it today."""
    from harness.pipeline.code import code_hash  # which imports the algorithm, and torch with it

    unpacked(key, run)
    if staleness(registry, key, run.record.model_dump(mode="json")):
        return False
    return run.record.code_hash == code_hash(registry.resolved(parse_key(key)))


def _identities_of(snapshot: Published, run: PublishedRun) -> dict[str, str]:
    data = run.record.data_hashes.get(run.record.target, "")
    return {data: snapshot.identities[data]} if data in snapshot.identities else {}


def read_published(root: Path) -> tuple[Published, dict[str, str]] | None:
    """Return the snapshot and why some of its runs are left out, by key; None if there is no snapshot.

    Raises BrokenResultError if nothing of it can be read.
    """
    path = published_path(root)
    try:
        tree = read_json(path, PUBLISHED_BYTES)
        runs = tree.get("runs") if isinstance(tree, dict) else None
        snapshot = validated(tree | {"runs": {}} if isinstance(runs, dict) else tree, str(path), Published)
    except MissingFileError:
        return None
    except UserError as error:
        raise BrokenResultError(f"{str(error).replace(f'{path}: ', '')}; `git checkout` brings it back") from None
    wrong = {}
    for key, run in (runs or {}).items():
        try:
            snapshot.runs[key] = validated(run, "the run", PublishedRun)
            if snapshot.runs[key].sha256 not in ("", seal(run)):
                raise UserError("it was altered: its SHA-256 differs")
        except UserError as error:
            snapshot.runs.pop(key, None)
            wrong[key] = str(error)
    return snapshot, wrong


def unpacked(key: str, run: PublishedRun) -> RunResult:
    """Return a published run as a local one. Raises BrokenResultError unless its scores agree with its AP."""
    try:
        check_record(run.record, key)
        history = check_history(run.history)
        ap = _dequantized(run.ap)
        _check_scores(run, ap)
    except UserError as error:
        raise BrokenResultError(str(error)) from None
    return RunResult(run.record, run.metrics, ap, history)


def _dequantized(text: str) -> NDArray[np.float32]:
    try:
        steps = np.frombuffer(base64.b64decode(text, validate=True), dtype="<u2")
    except ValueError as error:
        raise UserError(f"ap: {error}") from None
    return np.where(steps == NO_MATCH, np.nan, steps / STEPS).astype(np.float32)


def _check_scores(run: PublishedRun, ap: NDArray[np.float32]) -> None:
    """Raise UserError unless what AP and first hits give is what the metrics say; mINP is only bounded."""
    metrics, found = run.metrics, ~np.isnan(ap)
    if (found.sum(), (~found).sum()) != (metrics.queries, metrics.queries_without_match) or not found.any():
        raise UserError(f"it has AP of {found.sum()} queries, its metrics say {metrics.queries}")
    scores = {"map": (ap[found].mean(dtype=np.float64), 100 / STEPS)}
    if run.first_hit:
        try:
            first = np.frombuffer(base64.b64decode(run.first_hit, validate=True), dtype=np.uint8)
        except ValueError as error:
            raise UserError(f"first_hit: {error}") from None
        if first.size != ap.size or ((first > 0) != found).any():
            raise UserError("first_hit does not fit its AP")
        scores |= {f"rank{rank}": ((first[found] <= rank).mean(), AGREEMENT) for rank in (1, 5, 10)}
    for name, (score, tolerance) in scores.items():
        if abs(100 * float(score) - getattr(metrics, name)) > tolerance:
            raise UserError(f"its queries give {name} {100 * score:.2f}, its metrics say {getattr(metrics, name):.2f}")
    if not metrics.rank1 <= metrics.rank5 <= metrics.rank10:
        raise UserError("its Rank-1, Rank-5 and Rank-10 do not rise")


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
    first = None if result.first_hit is None else np.minimum(result.first_hit, 255).astype(np.uint8)
    run = PublishedRun(
        record=result.record,
        metrics=result.metrics,
        history=history,
        ap=quantized(result.ap),
        first_hit="" if first is None else base64.b64encode(first.tobytes()).decode("ascii"),
    )
    return run.model_copy(update={"sha256": seal(run.model_dump(mode="json"))})


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
    write_text(path, f'{head}, "runs": {{\n{lines}\n}}}}\n')
