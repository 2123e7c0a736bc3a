"""Runs on targets without labeled test images: what can be said of them without labels, and never an mAP."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError
from harness.inputs.parquet import load_table
from harness.paths import run_folder, runs_folder
from harness.specs.pairing import Pairing, parse_key

if TYPE_CHECKING:
    from harness.pipeline.records import LabelFree

KEYS = ("run", "clusters", "outliers", "silhouette", "agreement", "between_seeds", "camera_bias")
COLUMNS = ("run", "clusters", "outliers", "silhouette", "agreement", "between seeds", "camera bias")
NOTE = (
    "No labels, so no mAP. Silhouette, agreement (of the last two epochs' clusters) and the same between seeds (the "
    "mean over the other seeds of a method): higher is better; outliers and camera bias (clusters that are cameras "
    "rather than individuals): lower."
)
Value = str | int | float | None


def label_free_runs(root: Path, scored: Container[str] = ()) -> Iterator[tuple[Pairing, LabelFree]]:
    """Yield the runs of project `root` whose targets have no labeled test images, by task, method and seed.

    The files of those that are known to be `scored`, by key, are not read.
    """
    folders = [path.parent for path in runs_folder(root).glob("*/metrics.json") if path.parent.name not in scored]
    if not folders:
        return
    from harness.pipeline.trained import read_label_free  # the records' models: only where there is something to read

    pairings = []
    for folder in folders:
        try:
            pairings.append((parse_key(folder.name), read_label_free(folder)))
        except UserError:  # ingestion reports it
            continue
    for pairing, found in sorted(pairings, key=lambda pair: (pair[0].task, pair[0].method, pair[0].seed)):
        if found:
            yield pairing, found


def label_free_rows(root: Path, task: str | None = None, scored: Container[str] = ()) -> list[list[str]]:
    """Return the rows of `COLUMNS` of such runs, of one task or all; for `scored` see `label_free_runs`."""
    return [_told(values) for values in _values(root, task, scored)]


def _values(root: Path, task: str | None, scored: Container[str] = ()) -> list[list[Value]]:
    """Return what stands under `KEYS` for each run: shares from 0 to 1, None for what there is not."""
    runs = [(pairing, found) for pairing, found in label_free_runs(root, scored) if task in (None, pairing.task)]
    clusters = {pairing.key: _clusters(root, pairing) for pairing, _ in runs}
    rows: list[list[Value]] = []
    for pairing, found in runs:
        own = clusters[pairing.key]
        others = [
            theirs
            for other, _ in runs
            if (other.method, other.task) == (pairing.method, pairing.task) and other.seed != pairing.seed
            if (theirs := clusters[other.key]) is not None and own is not None and len(theirs) == len(own)
        ]
        rows.append([pairing.key, *_figures(found, _agreement(own, others))])
    return rows


def _clusters(root: Path, pairing: Pairing) -> NDArray[np.int32] | None:
    """Return the clusters that a run's last network makes of the training images; None if its file has none."""
    from harness.pipeline.records import CLUSTERS

    try:
        found: NDArray[np.int32] = load_table(run_folder(root, pairing.key) / "queries.parquet")[CLUSTERS].to_numpy()
    except (UserError, OSError, KeyError):
        return None
    return found


def _agreement(own: NDArray[np.int32] | None, others: Sequence[NDArray[np.int32]]) -> float | None:
    from harness.labels.label_free import agreement

    found = [agreement(own, theirs) for theirs in others]
    return None if not found or np.isnan(found).all() else float(np.nanmean(found))


def _figures(found: LabelFree, between_seeds: float | None = None) -> list[Value]:
    return [found.clusters, found.outliers, found.silhouette, found.agreement, between_seeds, found.camera_bias]


def _told(values: Sequence[Value]) -> list[str]:
    """Return a row as people read it."""
    forms = ("{}", "{}", "{:.0%}", *("{:.2f}",) * 4)
    return ["–" if value is None else form.format(value) for form, value in zip(forms, values, strict=True)]


def figures(found: LabelFree) -> str:
    """Return a run's figures in one line."""
    names = zip(COLUMNS[1:], _told(["", *_figures(found)])[1:], strict=True)
    told = [f"{name} {value}" for name, value in names if name != "between seeds"]
    return f"{found.images} unlabeled images; " + ", ".join(told)


def label_free_table(root: Path, task: str | None = None) -> str:
    """Return the table of such runs, of one task or all; '' if there is none."""
    rows = label_free_rows(root, task)
    if not rows:
        return ""
    widths = [max(map(len, column)) for column in zip(COLUMNS, *rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (COLUMNS, *rows)]
    return "\n".join([*(line.rstrip() for line in lines), NOTE])


def label_free_document(root: Path, task: str, format: str) -> str:  # noqa: A002 - the option's name
    """Return the table of one task in any of the leaderboard's formats; '' if there is no such run."""
    if format == "table":
        return label_free_table(root, task)
    rows = _values(root, task)
    if not rows:
        return ""
    from harness.tables.formats import to_csv, to_html, to_json, to_latex, to_markdown
    from harness.tables.table import Cell, Table

    body = tuple(tuple(Cell(text, value) for text, value in zip(_told(values), values, strict=True)) for values in rows)
    table = Table(task, COLUMNS, KEYS, (False, *[True] * (len(KEYS) - 1)), body, (NOTE,))
    if format == "html":
        return to_html([table], "Re-identification without labels", "")
    return {"csv": to_csv, "json": to_json, "md": to_markdown, "latex": to_latex}[format]([table])
