"""`harness calibrate`: from which similarity on a model's pictures are the same, with its error rates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.commands.progress import console_progress
from harness.data.prepared import open_prepared
from harness.errors import UserError
from harness.inputs.json import sealed
from harness.paths import prepared_folder, project_root, write_text
from harness.use.calibration import BINS, FPIR_SAME, Calibration, OperatingPoint, calibrate
from harness.use.model import CALIBRATION, find_run, load
from harness.use.pairs import searches_in_dataset, searches_in_pairs, trained_on

BAR = 40
ROWS = 20


def calibrate_run(run: str, pairs: Path | None, dataset: str | None) -> Iterator[str]:
    """Measure on labeled pairs or a prepared dataset; write `calibration.json` beside the run. Raises UserError."""
    if (pairs is None) == (dataset is None):
        raise UserError("give either --pairs FILE or --dataset NAME: pictures of which somebody knows who they show")
    model = load(find_run(run))
    if pairs is not None:
        with console_progress() as show:
            searches = searches_in_pairs(model, pairs, show)
        data = f"{len(searches.identities)} pairs of {pairs.name}"
    else:
        prepared = open_prepared(prepared_folder(project_root(), str(dataset)))
        searches = searches_in_dataset(model, prepared)
        data = f"query and gallery of {dataset}"
    found = calibrate(searches, model.checkpoint, data)
    path = model.folder / CALIBRATION
    write_text(path, sealed(found))
    yield from describe(found)
    if model.record.target == dataset:
        yield "note: the run adapted to this dataset's cameras; on others the rates will be worse"
    if pairs is not None:
        seen, count = trained_on(pairs, prepared_folder(project_root(), model.record.target))
        if seen:
            yield (
                f"note: the run was trained on {seen} of these {count} pictures, and tells them apart better than any "
                "others: of pictures that it has not seen more pass the threshold wrongly. Take pairs of such pictures"
            )
    yield f"wrote {path}"


def describe(found: Calibration) -> Iterator[str]:
    """Yield what was found, with the histograms of similarities."""
    yield (
        f"{found.data}: {found.identities} identities, {found.searches_with_match} searches with a match and "
        f"{found.searches_without_match} without, each in {found.gallery} picture{'s' if found.gallery > 1 else ''}"
    )
    yield from _histograms(found)
    yield f"same      from {found.same.threshold:.3f} on: {_rates(found.same)}"
    yield f"          from {found.loose.threshold:.3f} on: {_rates(found.loose)}"
    yield f"different below {found.different_below:.3f}: 1 % of the searches find no right picture from there on"
    if found.searches_without_match * FPIR_SAME < 1:
        few = found.searches_without_match
        yield f"note: {few} searches are too few to measure an FPIR of 1 %; the threshold is just above all of them"


def _rates(point: OperatingPoint) -> str:
    interval = f"{100 * point.fnir_low:.1f} … {100 * point.fnir_high:.1f}"
    return f"FPIR {100 * point.fpir:.1f} %, FNIR {100 * point.fnir:.1f} % (95 % interval {interval}, by identities)"


def _histograms(found: Calibration) -> Iterator[str]:
    """Bars of the similarities of pairs, each kind by its own most frequent bin."""
    per_row = BINS // ROWS
    kinds = [
        [sum(counts[start : start + per_row]) for start in range(0, BINS, per_row)]
        for counts in (found.different_pairs, found.same_pairs)
    ]
    filled = [row for row in range(ROWS) if kinds[0][row] or kinds[1][row]]
    yield f"{'similarity':>14}  {'different':{BAR // 2}}  same"
    for row in range(filled[0], filled[-1] + 1):
        bars = ["█" * round(BAR / 2 * kind[row] / max(kind)) for kind in kinds]
        low, high = (-1 + 2 * edge / ROWS for edge in (row, row + 1))
        yield f"{low:5.1f} … {high:5.1f}  {bars[0]:{BAR // 2}}  {bars[1]}".rstrip()
