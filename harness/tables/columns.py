"""The leaderboard's columns, defined once for pages, terminal and exports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.evaluation.protocol import PROTOCOL
from harness.store.views import LeaderRow
from harness.tables.words import setting_name

Value = float | int | str | bool | None
METRICS = {"map": "mAP", "rank1": "Rank-1", "rank5": "Rank-5", "rank10": "Rank-10", "minp": "mINP"}


ONE_SEED = "one seed"


@dataclass(frozen=True)
class Column:
    """One column: `value` for sorting and machines; `digits` for numbers, None for text; `score`: more is better."""

    key: str
    header: str
    help: str
    value: Callable[[LeaderRow], Value]
    digits: int | None = None
    score: bool = False
    signed: bool = False
    shown: bool = True

    def text(self, row: LeaderRow) -> str:
        """Return the cell as people read it: one decimal, a true minus sign, an empty cell for nothing."""
        value = self.value(row)
        if value is None or value == "":
            return ""
        if isinstance(value, bool):
            return "yes" if value else ""
        if self.digits is None or isinstance(value, str):
            return str(value)
        sign = "+" if self.signed else ""
        return f"{value:{sign}.{self.digits}f}".replace("-", "−")


def _mean(metric: str) -> Callable[[LeaderRow], Value]:
    return lambda row: row.score(metric)


def _spread(metric: str) -> Callable[[LeaderRow], Value]:
    def spread(row: LeaderRow) -> Value:
        found = row.scores.get(metric)
        return found.std if found else None

    return spread


def _doubt(row: LeaderRow) -> str:
    low, high = row.reported_range or (0.0, 0.0)
    parts = [f"{low:.1f}–{high:.1f}"] if f"{low:.1f}" != f"{high:.1f}" else []
    if row.reported and not row.reported_verified:
        parts.append("not verified")
    if row.reported_selection == "best":
        parts.append("best epoch")
    return "; ".join(parts)


def _status(row: LeaderRow) -> str:
    if row.state == "reported":
        return "reported, not run here"
    parts = [] if row.state == "reproduced" else [row.state]
    if row.published:
        parts.append("published")
    if row.origin:
        parts.append(row.origin)
    if row.stale:
        parts.append("outdated")
    detail = row.reason  # what is outdated about a run stands on its page
    return f"{', '.join(parts)}: {detail}" if parts and detail else ", ".join(parts) or row.reason


def _tied(row: LeaderRow) -> Value:
    if row.protocol != PROTOCOL:
        return ""  # only plain scores are compared
    return ONE_SEED if len(row.seeds) == 1 else row.letters


HOURS = "wall time on a GPU per run, mean over seeds"
COLUMNS: tuple[Column, ...] = (
    Column("method", "method", "the method's title", lambda row: row.title),
    Column("setting", "setting", "what labels it may see", lambda row: setting_name(row.setting)),
    Column(
        "map", "mAP", "mean average precision in percent, last epoch, mean over seeds", _mean("map"), 1, score=True
    ),
    Column("map_std", "±", "standard deviation of mAP over seeds", _spread("map"), 1),
    Column(
        "tie",
        "tied",
        "rows share a letter if and only if they cannot be told apart, over seeds and identities: Student's t with "
        "Satterthwaite's degrees of freedom, the mean difference per query clustered by identity, 5 %, Holm's "
        "correction over all pairs of this view (docs/statistics.md); with one seed there is no verdict",
        _tied,
    ),
    Column("rank1", "R-1", "share of queries whose first hit is at rank 1, percent", _mean("rank1"), 1, score=True),
    Column("rank5", "R-5", "first hit within the first 5, percent", _mean("rank5"), 1, score=True),
    Column("rank10", "R-10", "first hit within the first 10, percent", _mean("rank10"), 1, score=True),
    Column("minp", "mINP", "mean inverse negative penalty: how early the last match is", _mean("minp"), 1, score=True),
    Column("seeds", "seeds", "how many seeds were run", lambda row: len(row.seeds) or None, 0),
    Column("reported", "reported", "mAP that the publication states", lambda row: row.reported.get("map"), 1),
    Column("reported_rank1", "reported R-1", "Rank-1 that the publication states",
           lambda row: row.reported.get("rank1"), 1),
    Column("difference", "Δ", "our mAP minus the reported one, points", lambda row: row.difference, 1, signed=True),
    Column(
        "verdict",
        "verdict",
        "within the spread: a one-sample t-test over seeds (Welch's test where the publication states several runs) "
        "does not reject the reported figure at 5 %; close: within 1 point; off: neither",
        lambda row: row.verdict,
    ),
    Column(
        "best",
        "best epoch†",
        "† mAP of the epoch that was best on the test set, as papers often report it: chosen with the test labels, "
        "so never our headline",
        lambda row: row.best.get("map"),
        1,
    ),
    Column(
        "chosen",
        "no labels‡",
        "‡ mAP of the epoch chosen without labels, by a rule that was fixed beforehand (docs/statistics.md)",
        lambda row: row.chosen.get("map"),
        1,
    ),
    Column(
        "regret",
        "regret",
        "points of mAP that the choice without labels gives away to the epoch that was best on the test set",
        lambda row: row.regret,
        1,
        shown=False,
    ),
    Column("pretraining", "starts from", "weights or methods that the training started from",
           lambda row: row.pretraining, shown=False),
    Column("input_size", "input", "height × width of the images that the network sees", lambda row: row.input_size,
           shown=False),
    Column("train_cameras", "cameras in training", "whether the training used camera labels: asked for by the method, "
           "and there", lambda row: row.train_cameras, shown=False),
    Column("test_cameras", "cameras at test", "whether camera labels of the test images change the ranking",
           lambda row: row.test_cameras, shown=False),
    Column("protocol", "protocol", "how ranks become scores; rows of different protocols never share a table",
           lambda row: row.protocol, shown=False),
    Column("transductive", "transductive", "whether a query's answer depends on the other test images",
           lambda row: row.transductive, shown=False),
    Column("test_time", "at test", "steps between features and ranking, as the protocol's name states them",
           lambda row: row.test_time, shown=False),
    Column("gpu_hours", "GPU h", HOURS, lambda row: row.gpu_hours or None, 2),
    Column("cpu_minutes", "CPU min", "processor time per run, mean over seeds", lambda row: row.cpu_minutes or None, 1),
    Column("memory", "GiB", "peak memory of the device, most over seeds", lambda row: row.peak_memory_gib, 1),
    Column("status", "status", "why there is no result, and what to know about the one there is", _status),
    Column(
        "doubt",
        "sources",
        "what to doubt about the reported figure: the range where sources state several, whether it was seen in its "
        "source, and whether it is of the best epoch on the test set",
        _doubt,
    ),
    Column("source", "quoted from", "where the reported figure was read", lambda row: row.reported_from),
    Column("rank1_std", "± R-1", "standard deviation of Rank-1 over seeds", _spread("rank1"), 1, shown=False),
    Column("note", "note", "what to know about the reported figure", lambda row: row.reported_note, shown=False),
    Column(
        "verified", "verified", "whether the reported figure was seen in that place",
        lambda row: row.reported_verified if row.reported else None, shown=False,
    ),
    Column(
        "p_top", "p vs top", "against the best row with several seeds, by the test of the column “tied”, Holm",
        lambda row: row.p_top, 3, shown=False,
    ),
    Column("name", "name", "the method's name in specs and commands", lambda row: row.method, shown=False),
)  # fmt: skip
COMPARABLE = ("pretraining", "input_size", "train_cameras", "test_cameras", "test_time")
"""Columns in which rows must agree to be compared without a remark."""
BY_KEY = {column.key: column for column in COLUMNS}


def useful(rows: Sequence[LeaderRow], columns: Sequence[Column]) -> list[Column]:
    """Return the columns that have something to show in `rows`."""
    return [column for column in columns if any(column.text(row) for row in rows)]


def telling(rows: Sequence[LeaderRow], columns: Sequence[Column]) -> list[Column]:
    """Return the columns that tell rows apart: no status that all share, no best epoch that is the last everywhere."""
    mean = BY_KEY["map"]

    def tells(column: Column) -> bool:
        if column.key == "best":
            return any(column.text(row) not in ("", mean.text(row)) for row in rows)
        return column.key != "status" or len(rows) < 2 or len({column.text(row) for row in rows}) > 1

    return [column for column in useful(rows, columns) if tells(column)]


NOTES = {
    "best": "† best epoch on the test set, as papers often report it; the headline is the last epoch",
    "chosen": "‡ the epoch chosen without labels, by a rule that was fixed beforehand",
    "regret": "regret: what the choice without labels gives away to the best epoch on the test set",
    "tie": "tied: rows that share a letter cannot be told apart, all others can (over seeds and identities, 5 %, Holm; "
    "with one seed there is no verdict)",
}


def notes_on(columns: Sequence[Column]) -> tuple[str, ...]:
    """Return what must be said below a table with these columns."""
    return tuple(NOTES[column.key] for column in columns if column.key in NOTES)
