"""Runs as one tar file for another lab, with a manifest of hashes; and such a file taken in, if all of it agrees.

    manifest.json
    specs/methods/*.yaml, specs/datasets/*.yaml      what the runs were made from, to read
    runs/<key>/record.json, metrics.json, history.csv, queries.parquet
    runs/<key>/checkpoint.safetensors                if asked for; never a pickle

The protocol is the records' to say. A variant of it has files of its own beside these (`metrics+rerank.json`, …), and
they travel along.
"""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import Field

from harness import __version__
from harness.data.prepared import open_prepared
from harness.drafts import draft_folder
from harness.errors import DiskError, UserError
from harness.inputs.archives import extract
from harness.inputs.files import read_bytes
from harness.inputs.json import parse_document
from harness.inputs.limits import TABLE_BYTES
from harness.inputs.parquet import load_table
from harness.paths import imported_folder, prepared_folder, replacing, run_folder
from harness.pipeline.trained import read_trained
from harness.specs.base import Frozen
from harness.specs.pairing import parse_key
from harness.specs.registry import Registry
from harness.store.origin import ORIGIN, Origin, lab_name
from harness.store.run_files import FILES, RunResult, digest, read_run
from harness.store.variant_files import read_variant, variant_files

MANIFEST = "manifest.json"
DRAFT = ".draft-"
"""What folders begin with whose results are still being checked."""
CHECKPOINT = "checkpoint.safetensors"
VARIANT = re.compile(r"(metrics|queries)\+[a-z0-9+.-]+\.(json|parquet)")
"""Files of a protocol's variant."""
SPEC = re.compile(r"specs/(methods|methods/regimes|datasets)/[a-z0-9.-]+\.yaml")


class Manifest(Frozen):
    """What an archive holds: every file but the manifest itself, with its SHA-256."""

    format: Literal[1] = 1
    lab: str = Field(default="", description="who computed the runs, as they call themselves")
    version: str
    written: datetime
    runs: tuple[str, ...]
    files: dict[str, str]


def export_runs(registry: Registry, keys: Sequence[str], output: Path, checkpoints: bool, lab: str) -> Path:
    """Write finished runs of this project as an archive, the same bytes for the same runs but for the time it states.

    Raises UserError if a run is not finished, or does not agree with itself: nothing is written then.
    """
    members: dict[str, Path] = {}
    for key in dict.fromkeys(keys):
        folder = run_folder(registry.root, parse_key(key).key)
        if digest(folder) is None:
            raise UserError(f"{key}: is not finished here; run: harness run {key}")
        read_run(folder)
        for path in sorted(folder.iterdir()):
            if path.name in FILES or VARIANT.fullmatch(path.name) or (checkpoints and path.name == CHECKPOINT):
                members[f"runs/{key}/{path.name}"] = path
        if checkpoints:
            _check_weights(folder)
        members |= _spec_files(registry, key)
    manifest = Manifest(
        lab=lab_name(lab) if lab else "", version=__version__, written=datetime.now(UTC).replace(microsecond=0),
        runs=tuple(dict.fromkeys(keys)), files={name: _sha256(path) for name, path in sorted(members.items())},
    )  # fmt: skip
    with replacing(output) as partial, tarfile.open(partial, "w", format=tarfile.PAX_FORMAT) as file:
        text = manifest.model_dump_json(indent=1).encode() + b"\n"
        file.addfile(_member(MANIFEST, len(text)), io.BytesIO(text))
        for name, path in sorted(members.items()):
            with path.open("rb") as source:
                file.addfile(_member(name, path.stat().st_size), source)
    return output


def _spec_files(registry: Registry, key: str) -> dict[str, Path]:
    pairing = parse_key(key)
    found: dict[str, Path] = {}
    if pairing.method in registry.methods:
        for path in registry.spec_files(pairing.method):
            found[f"specs/{path.relative_to(registry.root).as_posix()}"] = path
    for name in (pairing.source, pairing.target):
        path = registry.root / "datasets" / f"{name}.yaml"
        if path.exists():
            found[f"specs/datasets/{name}.yaml"] = path
    return found


def _member(name: str, size: int) -> tarfile.TarInfo:
    """A regular file of nobody: an archive tells of no user, host or time."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def import_archive(root: Path, archive: Path, lab: str, replace: bool) -> list[str]:
    """Take in the runs of an archive, all or none; return their keys.

    Every file must be the one that the manifest states, every score must follow from the ranked lists, and where the
    dataset is prepared here, these from its labels. `lab`: a name for whose they are; by default the archive's own, or
    its file's. Raises UserError for an archive that does not agree with itself, and, unless `replace`, for another
    result of the same run from the same lab.
    """
    if not archive.is_file():
        raise UserError(f"{archive}: no such file")
    base = imported_folder(root)
    with ExitStack() as stack:
        try:
            draft = stack.enter_context(draft_folder(base, DRAFT))
        except OSError as error:
            raise DiskError(f"{base}: cannot be written: {error.strerror}") from None
        extract(archive, draft)
        manifest = _verified(archive, draft)
        origin = Origin(
            lab=lab_name(lab or manifest.lab or archive.name.partition(".")[0].lower().replace("_", "-")),
            kind="archive", taken_in=datetime.now(UTC), sha256=_sha256(archive), version=manifest.version,
        )  # fmt: skip
        for key in manifest.runs:
            _check_run(root, archive, draft / "runs" / key)
        return [key for key in manifest.runs if place(base / origin.lab / key, draft / "runs" / key, origin, replace)]


def place(target: Path, draft: Path, origin: Origin, replace: bool) -> bool:
    """Move a checked result to where it belongs; False if the same is there. Raises UserError if another one is."""
    if target.exists():
        if digest(target) == digest(draft):
            return False
        if not replace:
            raise UserError(
                f"{origin.lab} has another result of {target.name} here already; see it with `harness leaderboard`, "
                "or take the new one: --replace"
            )
        shutil.rmtree(target)
    (draft / ORIGIN).write_text(origin.model_dump_json(indent=1) + "\n", encoding="utf-8")
    target.parent.mkdir(parents=True, exist_ok=True)
    draft.rename(target)
    return True


def _verified(archive: Path, draft: Path) -> Manifest:
    """Return the manifest, if the archive holds exactly what it states. Raises UserError."""
    path = draft / MANIFEST
    if not path.is_file():
        raise UserError(
            f"{archive}: is no archive of results: it has no {MANIFEST}; `harness results export` writes one"
        )
    manifest = parse_document(read_bytes(path), Path(f"{archive}: {MANIFEST}"), Manifest)
    there = {file.relative_to(draft).as_posix() for file in draft.rglob("*") if file.is_file()} - {MANIFEST}
    if there != manifest.files.keys():
        odd = sorted(there ^ manifest.files.keys())[:3]
        raise UserError(
            f"{archive}: holds other files than its manifest states: {', '.join(odd)}; nothing was taken in"
        )
    for key in manifest.runs:
        parse_key(key)
    for name, stated in manifest.files.items():
        _, _, rest = name.partition("/")
        key, _, file = rest.partition("/")
        known = file in (*FILES, CHECKPOINT) or VARIANT.fullmatch(file)
        if not SPEC.fullmatch(name) and not (name.startswith("runs/") and key in manifest.runs and known):
            raise UserError(f"{archive}: {name}: no file of a result; nothing was taken in")
        if _sha256(draft / name) != stated:
            raise UserError(f"{archive}: {name}: is not the file that the manifest states; nothing was taken in")
    return manifest


def _check_run(root: Path, archive: Path, folder: Path) -> None:
    try:
        if digest(folder) is None:
            raise UserError(f"lacks one of {', '.join(FILES)}")
        result = read_run(folder)
        check_labels(root, result, folder / "queries.parquet")
        for path in variant_files(folder):
            read_variant(path, read_trained(folder))
        if (folder / CHECKPOINT).exists():
            _check_weights(folder)
    except UserError as error:
        raise UserError(f"{archive}: {folder.name}: {error}; nothing was taken in") from None


def _check_weights(folder: Path) -> None:
    """Raise UserError unless the checkpoint is the one that the record describes."""
    from harness.learning.state import read_tensors, sha256  # with torch

    tensors, metadata = read_tensors(folder / CHECKPOINT)
    record = read_run(folder).record
    if sha256(tensors, metadata) != record.checkpoint_sha256 or metadata.get("key") != record.key:
        raise UserError(f"{CHECKPOINT}: is not the one that record.json describes")


def check_labels(root: Path, result: RunResult, path: Path) -> None:
    """Raise UserError if the ranked lists do not fit the labels of the same data, if they are prepared here."""
    record = result.record
    try:
        target = open_prepared(prepared_folder(root, record.target))
    except UserError:
        return
    if target.data_hash != record.data_hashes.get(record.target):
        return
    table = load_table(read_bytes(path, TABLE_BYTES))
    query, gallery = target.split("query"), target.split("gallery")
    if table["path"].to_pylist() != query.paths or table["identity"].to_pylist() != query.ids.tolist():
        raise UserError(f"queries.parquet: its queries are not those of {record.target}")
    if result.metrics.gallery != len(gallery):
        raise UserError(f"a gallery of {result.metrics.gallery} images; that of {record.target} has {len(gallery)}")
    for number, (items, correct) in enumerate(_lists(table)):
        if [bool(gallery.ids[item] == query.ids[number]) for item in items] != correct:
            raise UserError(f"queries.parquet: query {number}: what it calls right is not what {record.target} says")
    cameras = target.has_cameras
    counts = table["match_ranks"].combine_chunks().value_lengths().to_numpy()
    for number in range(len(query)):
        right = gallery.ids == query.ids[number]
        if cameras:
            right &= gallery.cameras != query.cameras[number]
        if int(right.sum()) != counts[number]:
            raise UserError(
                f"queries.parquet: query {number} has {counts[number]} right answers, {record.target} has {right.sum()}"
            )


def _lists(table: object) -> Iterator[tuple[list[int], list[bool]]]:
    yield from zip(table["gallery"].to_pylist(), table["correct"].to_pylist(), strict=True)  # type: ignore[index]
