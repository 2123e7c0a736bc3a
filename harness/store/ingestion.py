"""From `results/` and the specs into the database: idempotent, in one transaction, a broken folder never stops it."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from sqlalchemy import column
from sqlmodel import Session, col, delete, select, update

from harness.errors import UserError
from harness.evaluation.protocol import PROTOCOL
from harness.inputs.files import read_bytes
from harness.paths import FROM, all_attempts_folder, foreign_key, runs_folder
from harness.pipeline.attempts import attempts, read_attempt
from harness.pipeline.processes import alive
from harness.pipeline.records import Record
from harness.pipeline.trained import read_label_free, read_trained
from harness.specs import Registry, parse_key
from harness.specs.pairing import task_name
from harness.specs.resolve import fingerprint
from harness.store import models
from harness.store.community import COMMUNITY_BYTES, community_files, read_community
from harness.store.database import CorruptError, database_url, discard, open_store
from harness.store.entries import refresh_entries
from harness.store.origin import KINDS, imported_runs, lab_name, read_origin
from harness.store.place import place
from harness.store.published import PublishedRun, published_path, read_published, unpacked, unpacked_identities
from harness.store.run_files import BrokenResultError, RunResult, digest, read_run
from harness.store.staleness import staleness
from harness.store.variant_files import read_variant, variant_files

Progress = Callable[[int, int], None]


@dataclass
class IngestReport:
    """What changed."""

    added: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    unchanged: int = 0
    removed: list[str] = field(default_factory=list)
    rejected: dict[str, str] = field(default_factory=dict)
    stale: list[str] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        """What was rejected, and why, one line each."""
        return [f"{path}: {reason}" for path, reason in self.rejected.items()]


def ingest(root: Path, progress: Progress | None = None) -> IngestReport:
    """Bring the database of project `root` up to date with its specs and `results/`; create it if needed.

    `progress(done, total)` is called per run folder. Raises UserError if the database cannot be used;
    then nothing has changed.
    """
    try:
        return _ingest(root, progress)
    except CorruptError:
        if not discard(database_url(root)):
            raise
    return _ingest(root, progress)


def _ingest(root: Path, progress: Progress | None) -> IngestReport:
    begun = time.time()
    registry = Registry.load(root)
    report = IngestReport(rejected=dict(problem.partition(": ")[::2] for problem in registry.problems))
    report.rejected |= registry.unreadable_plans
    store = open_store(database_url(root))
    try:
        with store.writing() as session:
            here = place(root)
            _ingest_runs(session, root, here, registry, report, progress)
            _ingest_attempts(session, root, here, report)
            _replace_registry(session, registry)
            rejected = [{"path": path, "place": here, "reason": why} for path, why in report.rejected.items()]
            _replace(session, models.Rejected, rejected, here)
            session.flush()
            refresh_entries(session, registry)
            _stamp(session)
            session.merge(models.Meta.made(name=f"taken_in{here}", value=str(begun)))
    finally:
        store.close()
    return report


def _ingest_runs(
    session: Session, root: Path, here: str, registry: Registry, report: IngestReport, progress: Progress | None
) -> None:
    known = {run.key: run for run in session.exec(select(models.Run))}
    folders = sorted(path for path in runs_folder(root).glob("*") if path.is_dir())
    seen: set[str] = set()
    for done, folder in enumerate(folders):
        if progress:
            progress(done, len(folders))
        try:
            content = digest(folder)
            if (
                content is not None
                and read_label_free(folder) is None
                and _take(session, registry, known, content, folder, report)
            ):
                seen.add(folder.name)
                _take_variants(session, root, folder, folder.name, report)
        except UserError as error:
            report.rejected[_shown(folder, root)] = str(error).replace(f"{folder}/", "")
    _ingest_published(session, root, registry, known, seen, report)
    _ingest_foreign(session, root, registry, known, seen, report)
    for key in sorted(key for key in known.keys() - seen if known[key].place == here):
        session.delete(known[key])
        report.removed.append(key)
    session.flush()
    fresh = col(models.Run.key).in_([*report.added, *report.updated])
    session.exec(update(models.Run).where(fresh).values(place=here))
    report.stale.sort()


def _take(
    session: Session, registry: Registry, known: dict[str, models.Run], content: str, folder: Path, report: IngestReport
) -> bool:
    row = known.get(folder.name)
    if row is not None and row.digest == content and _unchanged(session, registry, row, report):
        return True
    _store(session, registry, row, read_run(folder), content, published=False, report=report)
    return True


def _take_variants(session: Session, root: Path, folder: Path, key: str, report: IngestReport) -> None:
    """Bring a run's scores by variants of the protocol up to date; one that is broken is named and left out."""
    known = session.exec(select(models.VariantRow).where(models.VariantRow.run_key == key)).all()
    checked = {row.protocol: row.digest for row in known}
    for row in known:
        session.delete(row)
    session.flush()
    paths = variant_files(folder)
    if not paths:
        return
    run = read_trained(folder)
    for path in paths:
        try:
            metrics, sha256 = read_variant(path, run, checked.get(PROTOCOL + path.stem.removeprefix("metrics"), ""))
        except BrokenResultError as error:
            report.rejected[_shown(path, root)] = str(error)
            continue
        scores = metrics.model_dump(include=set(models.VariantRow.model_fields) - {"draws"})
        own = {"run_key": key, "draws": len(metrics.draws), "digest": sha256}
        session.add(models.VariantRow.made(**scores, **own))


def _ingest_published(
    session: Session,
    root: Path,
    registry: Registry,
    known: dict[str, models.Run],
    seen: set[str],
    report: IngestReport,
) -> None:
    path = str(published_path(root).relative_to(root))
    try:
        found = read_published(root)
    except BrokenResultError as error:
        report.rejected[path] = str(error)
        return
    if found is None:
        return
    snapshot, wrong = found
    report.rejected |= {f"{path}#{key[:200]}": reason for key, reason in wrong.items()}
    session.merge(models.Meta.made(name="published_version", value=snapshot.version))
    session.merge(models.Meta.made(name="published_written", value=f"{snapshot.written:%Y-%m-%d}"))
    for data, packed in snapshot.identities.items():
        if session.get(models.QuerySet, data) is None:  # what was evaluated here is known already
            try:
                session.add(_query_set(data, unpacked_identities(packed)))
            except BrokenResultError as error:
                report.rejected[f"{path}#identities"] = str(error)
    for key, run in snapshot.runs.items():
        if key in seen:
            continue
        content = _published_digest(run)
        row = known.get(key)
        seen.add(key)
        if row is not None and row.digest == content and _unchanged(session, registry, row, report):
            continue
        try:
            _store(session, registry, row, unpacked(key, run), content, published=True, report=report)
        except BrokenResultError as error:
            seen.discard(key)
            report.rejected[f"{path}#{key}"] = str(error)


def _ingest_foreign(
    session: Session,
    root: Path,
    registry: Registry,
    known: dict[str, models.Run],
    seen: set[str],
    report: IngestReport,
) -> None:
    """Take in the results of other labs, each under a name that says whose it is."""
    for folder in imported_runs(root):
        try:
            content, origin = digest(folder), read_origin(folder)
            if content is None:
                raise UserError("is not complete; import it again")
            found = Found(f"{content}-{origin.kind}", origin.lab, origin.kind, origin.note, partial(read_run, folder))
            _take_foreign(session, registry, known, seen, folder.name, found, report)
            _take_variants(session, root, folder, foreign_key(folder.name, origin.lab), report)
        except UserError as error:
            report.rejected[_shown(folder, root)] = str(error).replace(f"{folder}/", "")
    for path in community_files(root):
        try:
            data, lab = read_bytes(path, COMMUNITY_BYTES), lab_name(path.parent.name)
            content = hashlib.blake2b(data, digest_size=12).hexdigest()
            note = KINDS["community"].format(lab=lab)
            found = Found(f"community-{content}", lab, "community", note, partial(read_community, path))
            _take_foreign(session, registry, known, seen, path.stem, found, report)
        except (UserError, OSError) as error:
            report.rejected[_shown(path, root)] = str(error).replace(f"{path}: ", "")


@dataclass(frozen=True)
class Found:
    """A result of another lab: hash of its content, whose and of what kind it is, what to say of it, how to read it."""

    content: str
    lab: str
    kind: str
    note: str
    read: Callable[[], RunResult]


def _take_foreign(
    session: Session,
    registry: Registry,
    known: dict[str, models.Run],
    seen: set[str],
    name: str,
    found: Found,
    report: IngestReport,
) -> None:
    key = foreign_key(parse_key(name).key, found.lab)
    if key in seen:
        raise UserError(f"{found.lab} has this result twice: under results/imported and under results/community")
    row = known.get(key)
    if row is None or row.digest != found.content or not _unchanged(session, registry, row, report):
        _store(session, registry, row, found.read(), found.content, published=False, report=report, found=found)
    seen.add(key)


def _published_digest(run: PublishedRun) -> str:
    return "published-" + hashlib.blake2b(run.model_dump_json().encode(), digest_size=12).hexdigest()


def _unchanged(session: Session, registry: Registry, row: models.Run, report: IngestReport) -> bool:
    """Mark the run's staleness if its rows are those that were written; False if somebody altered them since."""
    detail = session.get(models.RunDetail, row.key)
    if detail is None or row.seal != _seal(row, detail):
        return False
    report.unchanged += 1
    row.stale = _stale(registry, detail.record["key"], detail.record, row.kind)
    if row.stale:
        report.stale.append(row.key)
    return True


def _seal(row: models.Run, detail: models.RunDetail) -> str:
    """Return the hash of every figure of a run: the database is only an index, and what was altered in it is reread."""
    figures = [
        row.model_dump(mode="json", exclude={"seal", "stale", "place"}, warnings=False),
        detail.record,
        detail.history,
    ]
    digest = hashlib.blake2b(json.dumps(figures, sort_keys=True).encode(), digest_size=12)
    digest.update(detail.ap)
    return digest.hexdigest()


def _store(
    session: Session,
    registry: Registry,
    row: models.Run | None,
    result: RunResult,
    content: str,
    published: bool,
    report: IngestReport,
    found: Found | None = None,
) -> None:
    record, metrics = result.record, result.metrics
    key = foreign_key(record.key, found.lab) if found else record.key
    if row is not None:
        session.delete(row)
        session.flush()
    document = record.model_dump(mode="json")
    best, chosen = metrics.best_on_test, metrics.chosen_without_labels
    stale = _stale(registry, record.key, document, found.kind if found else "")
    shared = record.model_dump(
        include={
            "key", "method", "setting", "source", "target", "seed", "regime", "spec_hash", "code_version", "protocol",
            "bn_groups", "precision", "started", "seconds", "cpu_seconds", "gpu_seconds", "peak_memory_gib",
            "images_per_second", "epochs", "resumed",
        }
    )  # fmt: skip
    scores = metrics.model_dump(
        include={
            "map", "rank1", "rank5", "rank10", "minp", "map_trapezoid", "queries", "queries_without_match", "gallery",
        }
    )  # fmt: skip
    try:
        run = models.Run.made(
            **shared | {"key": key, "method": parse_key(key).method},
            **scores,
            origin=found.note if found else "",
            kind=found.kind if found else "",
            digest=content,
            seal="",
            published=published,
            stale=stale,
            task=task_name(record.source, record.target),
            target_hash=record.data_hashes.get(record.target, ""),
            device=record.hardware.device,
            best_epoch=best.epoch if best else None,
            best_map=best.map if best else None,
            best_rank1=best.rank1 if best else None,
            chosen_epoch=chosen.epoch if chosen else None,
            chosen_map=chosen.map if chosen else None,
            chosen_rank1=chosen.rank1 if chosen else None,
            pretraining=_pretraining(record),
            train_cameras=record.train_cameras,
        )
        detail = models.RunDetail.made(
            run_key=key, record=document, history=result.history, ap=result.ap.astype("<f4").tobytes()
        )
    except ValidationError as error:
        raise BrokenResultError(str(error.errors(include_url=False)[0]["msg"])) from None
    session.add(run)
    session.flush()
    session.refresh(run)  # as it will be read again, the time without its zone
    run.seal = _seal(run, detail)
    session.add(detail)
    data = record.data_hashes.get(record.target, "")
    if result.identities is not None and (found is None or session.get(models.QuerySet, data) is None):
        session.merge(_query_set(data, result.identities))
    (report.added if row is None else report.updated).append(key)
    if stale:
        report.stale.append(key)


def _stale(registry: Registry, key: str, record: Mapping[str, Any], kind: str) -> str:
    """Return why a run no longer matches the registry; features that were given match no spec."""
    return "" if kind == "features" else staleness(registry, key, record)


def _pretraining(record: Record) -> str:
    """What the run started from: weights by name, or the methods of the runs that were its starts."""
    names = (parse_key(start).method if "__" in start else start for start in record.init)
    return ", ".join(dict.fromkeys(names))


def _query_set(data: str, identities: NDArray[np.int32]) -> models.QuerySet:
    return models.QuerySet.made(data=data, identities=identities.astype("<i4").tobytes())


def _ingest_attempts(session: Session, root: Path, here: str, report: IngestReport) -> None:
    rows = []
    for folder in sorted(all_attempts_folder(root).glob("*")):
        for path in attempts(root, folder.name):
            name = _shown(path, root)
            try:
                document = read_attempt(path)
            except UserError as error:
                report.rejected[name] = str(error)
                continue
            ended = {} if document.status != "running" or alive(document.process) else {"status": "interrupted"}
            rows.append({"path": name, "place": here, **document.model_dump(exclude={"process"}), **ended})
    _replace(session, models.AttemptRow, rows, here)


def _shown(path: Path, root: Path) -> str:
    """Return a path below `root` as text that a database can keep, whatever bytes its name is made of."""
    return os.fsencode(path.relative_to(root)).decode("utf-8", "backslashreplace")


def _replace_registry(session: Session, registry: Registry) -> None:
    methods, figures = [], []
    for spec in registry.methods.values():
        document = spec.model_dump(mode="json")
        methods.append(
            {"name": spec.name, "title": spec.title, "setting": spec.setting, "role": spec.role, "quoted": False,
             "document": document}
        )  # fmt: skip
        figures += [(spec.name, figure) for figure in spec.reported]
    for quoted in registry.reported:
        if quoted.name not in registry.methods:
            methods.append(
                {"name": quoted.name, "title": quoted.title, "setting": quoted.setting, "role": "quoted",
                 "quoted": True, "document": {"description": quoted.note}}
            )  # fmt: skip
        figures += [(quoted.name, figure) for figure in quoted.reported]
    methods += _foreign_methods(session, registry)
    session.exec(delete(models.Figure))
    _replace(session, models.Method, methods)
    session.flush()
    _replace(
        session,
        models.Figure,
        [
            {"id": i, "method": name, "task": task_name(f.source, f.target), **f.model_dump()}
            for i, (name, f) in enumerate(figures)
        ],
    )
    _replace(
        session,
        models.DatasetRow,
        [
            {"name": d.name, "title": d.title, "kind": d.kind, "regime": d.regime, "role": d.role,
             "document": d.model_dump(mode="json")}
            for d in registry.datasets.values()
        ],
    )  # fmt: skip


def _foreign_methods(session: Session, registry: Registry) -> list[dict[str, Any]]:
    """Return a row for each method of another lab, titled so that it is never taken for one's own."""
    found: dict[str, dict[str, Any]] = {}
    for run in session.exec(select(models.Run).where(models.Run.origin != "")):
        name, _, lab = run.method.rpartition(FROM)
        spec = registry.methods.get(name)
        found[run.method] = {
            "name": run.method, "title": f"{spec.title if spec else name}, from {lab}", "setting": run.setting,
            "role": "imported", "quoted": False, "document": {"description": run.origin},
        }  # fmt: skip
    return list(found.values())


def _replace(session: Session, table: type[models.Row], rows: list[dict[str, Any]], here: str | None = None) -> None:
    """Put `rows` in the place of all that are there, or of those from the project folder `here`."""
    gone = delete(table)
    session.exec(gone if here is None else gone.where(column("place") == here))
    session.add_all([table.made(**row) for row in rows])


def _stamp(session: Session) -> None:
    """Name the state of the database by its content, so that the same results give the same permalink."""
    runs = session.exec(select(models.Run.key, models.Run.digest, models.Run.stale).order_by(col(models.Run.key))).all()
    entries = [entry.model_dump(mode="json") for entry in session.exec(select(models.Entry))]
    entries.sort(key=lambda entry: (entry["method"], entry["task"], entry["protocol"]))
    tried = session.exec(select(models.AttemptRow.path, models.AttemptRow.status, models.AttemptRow.epoch)).all()
    content = fingerprint(json.loads(json.dumps([[list(run) for run in runs], entries, sorted(map(list, tried))])))
    session.merge(models.Meta.made(name="snapshot", value=content))
