"""Runs on targets without labeled test images: what can be said of them without labels, and never an mAP."""

from __future__ import annotations

from collections.abc import Container, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UserError
from harness.paths import runs_folder
from harness.specs.pairing import Pairing, parse_key

if TYPE_CHECKING:
    from harness.pipeline.records import LabelFree

COLUMNS = ("run", "clusters", "outliers", "silhouette", "agreement", "camera bias")
NOTE = (
    "No labels, so no mAP. Silhouette and agreement (of the last two epochs' clusters): higher is better; outliers and "
    "camera bias (clusters that are cameras rather than individuals): lower."
)
Cell = str


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


def cells(pairing: Pairing, found: LabelFree) -> list[Cell]:
    """Return a run's row of `COLUMNS`."""
    return [
        pairing.key,
        "–" if found.clusters is None else str(found.clusters),
        "–" if found.outliers is None else f"{100 * found.outliers:.0f} %",
        *("–" if value is None else f"{value:.2f}" for value in (found.silhouette, found.agreement, found.camera_bias)),
    ]


def figures(found: LabelFree) -> str:
    """Return a run's figures in one line."""
    names = zip(COLUMNS[1:], cells(Pairing("a", None, "b", 0), found)[1:], strict=True)
    return f"{found.images} unlabeled images; " + ", ".join(f"{name} {value}" for name, value in names)


def label_free_table(root: Path, task: str | None = None) -> str:
    """Return the table of such runs, of one task or all; '' if there is none."""
    rows = [cells(pairing, found) for pairing, found in label_free_runs(root) if task in (None, pairing.task)]
    if not rows:
        return ""
    widths = [max(map(len, column)) for column in zip(COLUMNS, *rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (COLUMNS, *rows)]
    return "\n".join([*(line.rstrip() for line in lines), NOTE])
