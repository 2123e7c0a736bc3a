"""`harness export`: a trained run as a file that other programs load."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.data.prepared import open_prepared
from harness.learning.device import choose_device
from harness.paths import prepared_folder, project_root
from harness.pipeline.training.evaluator import Evaluator
from harness.use.export.formats import export
from harness.use.model import find_run, load


def export_run(run: str, name: str, output: Path | None, half: bool, opset: int, measure: bool) -> Iterator[str]:
    """Yield what was written and how close it is to the checkpoint. Raises UserError."""
    folder = find_run(run)
    written = export(folder, name, output or Path("build/exports") / f"{folder.name}-{name}", half, opset)
    yield f"{written.path}: lowest cosine to the checkpoint {written.cosine:.5f} (batches of 1, 2, 17)"
    if measure:
        model = load(folder)
        target = open_prepared(prepared_folder(project_root(), model.record.target))
        evaluator, (query, gallery) = (
            Evaluator(target, choose_device(), model.input.normalization),
            (target.split("query"), target.split("gallery")),
        )
        ours, theirs = (
            100 * evaluator.ranked(embed(query.images), embed(gallery.images)).map
            for embed in (model.embedder, written.embed)
        )
        yield f"on {model.record.target}: mAP {theirs:.2f} by this file, {ours:.2f} by the checkpoint"
    yield f"{written.folder / 'README.md'}: what it is, terms of what it was trained on, figures, limits"
