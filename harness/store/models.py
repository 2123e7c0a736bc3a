"""The tables. Rows are only made with `made`, from documents that Pydantic has validated (a test forbids the rest).

Calling a SQLModel table class does not validate; `model_validate` does, hence the one way in. The constraints below are
the second wall. Scores are in percent, times in seconds unless the name says otherwise.
"""

from __future__ import annotations

import zlib
from datetime import datetime
from typing import Any, Self

from sqlalchemy import JSON, BigInteger, CheckConstraint, Column, ForeignKey, LargeBinary, MetaData, String
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.schema import CreateTable
from sqlmodel import Field, SQLModel

NAMING = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
SETTINGS = ("supervised", "direct", "uda", "usl")
STATES = (
    "reproduced",
    "running",
    "failed",
    "interrupted",
    "trained",
    "queued",
    "reported",
    "not planned",
    "incompatible",
)
STATUSES = ("running", "finished", "failed", "interrupted")


class Row(SQLModel):
    """What all tables share."""

    metadata = MetaData(naming_convention=NAMING)

    @classmethod
    def made(cls, **values: Any) -> Self:
        """Return a validated row. Raises pydantic.ValidationError."""
        return cls.model_validate(values)


def _one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=f"{column}_known")


def _count() -> Any:
    """A whole number of a document, of up to 64 bits: SQLite takes any, PostgreSQL as many as its column has."""
    return Field(sa_type=BigInteger)


def _json() -> Any:
    return Field(sa_column=Column(JSON, nullable=False))


class Meta(Row, table=True):
    """Facts about the database itself, such as the snapshot's id."""

    name: str = Field(primary_key=True)
    value: str


class Method(Row, table=True):
    """A registered method, or one that is only quoted (`quoted`)."""

    __table_args__ = (_one_of("setting", SETTINGS),)
    name: str = Field(primary_key=True)
    title: str
    setting: str
    role: str
    quoted: bool
    document: dict[str, Any] = _json()


class DatasetRow(Row, table=True):
    """A registered dataset."""

    name: str = Field(primary_key=True)
    title: str
    kind: str
    regime: str
    role: str
    document: dict[str, Any] = _json()


class Figure(Row, table=True):
    """A figure quoted from a publication."""

    id: int = Field(primary_key=True)
    method: str = Field(sa_column=Column(String, ForeignKey("method.name", ondelete="CASCADE"), nullable=False))
    task: str = Field(index=True)
    source: str | None
    target: str
    regime: str
    map: float | None
    rank1: float | None
    rank5: float | None
    rank10: float | None
    quoted_from: str
    verified: bool
    selection: str
    note: str


class Run(Row, table=True):
    """A finished, evaluated run. `published`: known only from `results/published.json`; `stale`: why it is outdated.

    `origin` says of another lab's result whose it is, `kind` how it came here; both are empty for one's own. `place`:
    which project folder it was taken in from, where a database is shared.
    """

    __table_args__ = (_one_of("setting", SETTINGS), CheckConstraint("map BETWEEN 0 AND 100", name="map_percent"))
    key: str = Field(primary_key=True)
    digest: str
    seal: str
    published: bool
    stale: str
    origin: str = ""
    kind: str = ""
    place: str = ""
    method: str = Field(index=True)
    setting: str
    source: str | None
    target: str
    task: str = Field(index=True)
    seed: int = _count()
    regime: str
    spec_hash: str
    code_version: str
    target_hash: str
    protocol: str
    bn_groups: int = _count()
    precision: str
    device: str
    started: datetime
    seconds: float
    cpu_seconds: float
    gpu_seconds: float
    peak_memory_gib: float
    images_per_second: float | None
    epochs: int = _count()
    resumed: int = _count()
    map: float
    rank1: float
    rank5: float
    rank10: float
    minp: float
    map_trapezoid: float
    queries: int = _count()
    queries_without_match: int = _count()
    gallery: int = _count()
    best_epoch: int | None = _count()
    best_map: float | None
    best_rank1: float | None
    chosen_epoch: int | None = _count()
    chosen_map: float | None
    chosen_rank1: float | None
    pretraining: str
    train_cameras: bool | None


class RunDetail(Row, table=True):
    """What a list of runs never needs: the record, the curves, and AP per query as float32 (NaN without a match)."""

    run_key: str = Field(sa_column=Column(String, ForeignKey("run.key", ondelete="CASCADE"), primary_key=True))
    record: dict[str, Any] = _json()
    history: dict[str, Any] = _json()
    ap: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class VariantRow(Row, table=True):
    """A run's scores by a variant of the protocol; `digest`: of the document that they were checked in."""

    __tablename__ = "variant"
    __table_args__ = (CheckConstraint("map BETWEEN 0 AND 100", name="map_percent"),)
    run_key: str = Field(sa_column=Column(String, ForeignKey("run.key", ondelete="CASCADE"), primary_key=True))
    protocol: str = Field(primary_key=True)
    transductive: bool
    test_cameras: bool
    map: float
    rank1: float
    rank5: float
    rank10: float
    minp: float
    map_trapezoid: float
    queries: int = _count()
    queries_without_match: int = _count()
    gallery: int = _count()
    draws: int = _count()
    digest: str


class QuerySet(Row, table=True):
    """Which queries of a dataset's version show the same identity: int32 per query, once for all runs on it."""

    data: str = Field(primary_key=True)
    identities: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class AttemptRow(Row, table=True):
    """One try to train or evaluate a run."""

    __table_args__ = (_one_of("status", STATUSES),)
    path: str = Field(primary_key=True)
    place: str = Field(default="", primary_key=True)
    key: str = Field(index=True)
    stage: str
    spec_hash: str
    status: str
    reason: str
    message: str
    log_tail: str
    device: str
    started: datetime
    updated: datetime
    seconds: float
    epoch: int = _count()
    epochs: int = _count()


class Rejected(Row, table=True):
    """A file or folder under `results/` that could not be taken in."""

    path: str = Field(primary_key=True)
    place: str = Field(default="", primary_key=True)
    reason: str


class Task(Row, table=True):
    """What methods are compared on: a target, or source → target."""

    name: str = Field(primary_key=True)
    source: str | None
    target: str
    regime: str
    reproduced: int
    reported: int


class Entry(Row, table=True):
    """A method on a task: its runs summarized, the reported figure beside them, or why there is nothing.

    By the plain protocol always, by a variant of it where a run was scored so.
    """

    __table_args__ = (_one_of("state", STATES),)
    method: str = Field(primary_key=True)
    task: str = Field(primary_key=True, index=True)
    protocol: str = Field(primary_key=True, index=True)
    transductive: bool = False
    setting: str
    state: str
    reason: str
    seeds: list[int] = _json()
    map_mean: float | None = None
    map_std: float | None = None
    rank1_mean: float | None = None
    rank1_std: float | None = None
    rank5_mean: float | None = None
    rank5_std: float | None = None
    rank10_mean: float | None = None
    rank10_std: float | None = None
    minp_mean: float | None = None
    minp_std: float | None = None
    best_map: float | None = None
    best_rank1: float | None = None
    chosen_map: float | None = None
    chosen_rank1: float | None = None
    pretraining: str = ""
    input_size: str = ""
    train_cameras: str = ""
    test_cameras: str = ""
    test_time: str = ""
    gpu_hours: float | None = None
    cpu_hours: float | None = None
    peak_memory_gib: float | None = None
    published: bool = False
    stale: str = ""
    origin: str = ""
    reported_map: float | None = None
    reported_rank1: float | None = None
    reported_rank5: float | None = None
    reported_rank10: float | None = None
    reported_from: str = ""
    reported_verified: bool = False
    reported_selection: str = ""
    reported_low: float | None = None
    reported_high: float | None = None
    reported_note: str = Field(default="", sa_column_kwargs={"server_default": ""})
    difference: float | None = None
    verdict: str = ""
    verdict_note: str = ""


class Tie(Row, table=True):
    """Where a method stands among those of a view (a task's rows, or those of one setting).

    Only methods with several seeds are here; `letters` and `p_top` come from `compare_runs`.
    """

    task: str = Field(primary_key=True)
    scope: str = Field(primary_key=True)
    method: str = Field(primary_key=True)
    letters: str
    p_top: float | None


def _schema() -> str:
    """One number for the tables as they stand, so that no change can be forgotten in it."""
    statements = [str(CreateTable(table).compile(dialect=SQLiteDialect())) for table in Row.metadata.sorted_tables]
    return str(zlib.crc32("".join([MEANING, *statements]).encode()))


MEANING = "1"
"""To be raised when what a column holds changes, but not its name or type."""
SCHEMA = _schema()
"""A database with another number is dropped and rebuilt from `results/`."""
