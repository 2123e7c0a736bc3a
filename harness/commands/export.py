"""`harness export`: a trained run as a file that other programs load."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.data.prepared import Prepared, open_prepared
from harness.errors import UserError
from harness.learning.device import choose_device
from harness.paths import prepared_folder, project_root
from harness.pipeline.training.evaluator import Evaluator
from harness.specs.pairing import parse_key
from harness.use.export.formats import export
from harness.use.model import find_run, load


def export_run(run: str, name: str, output: Path | None, half: bool, opset: int, measure: bool) -> Iterator[str]:
    """Yield what was written and how close it is to the checkpoint. Raises UserError."""
    folder = find_run(run)
    target = _measurable(folder) if measure else None
    written = export(folder, name, output or Path("build/exports") / f"{folder.name}-{name}", half, opset)
    yield f"{written.path}: lowest cosine to the checkpoint {written.cosine:.5f} (batches of 1, 2, 17)"
    if target:
        model = load(folder)
        evaluator, (query, gallery) = (
            Evaluator(target, choose_device(), model.input.normalization),
            (target.split("query"), target.split("gallery")),
        )
        ours, theirs = (
            100 * evaluator.ranked(embed(query.images), embed(gallery.images)).map
            for embed in (model.embedder, written.embed)
        )
        yield f"on {target.name}: mAP {theirs:.2f} by this file, {ours:.2f} by the checkpoint"
    yield f"{written.folder / 'README.md'}: what it is, terms of what it was trained on, figures, limits"


def _measurable(folder: Path) -> Prepared:
    """Return the run's prepared target. Raises UserError if that has nothing to evaluate on: before a file is made."""
    target = open_prepared(prepared_folder(project_root(), parse_key(folder.name).target))
    if not target.evaluated:
        raise UserError(
            f"{target.name}: has no labeled query and gallery, so no mAP can be measured; leave out --measure (the "
            "file's features are compared with the checkpoint's in any case)"
        )
    return target
