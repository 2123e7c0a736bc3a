"""`harness search`: the most similar pictures of a gallery, and whether they are the same."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from harness.commands.progress import console_progress
from harness.errors import UserError
from harness.paths import write_text
from harness.use.calibration import meaning
from harness.use.gallery import open_gallery
from harness.use.model import find_run, load
from harness.use.pictures import pictures_in
from harness.use.sheet import Answer, Hit, sheet


def search(
    run: str, queries: Sequence[str], gallery: Path, top: int, html: Path | None, as_json: bool
) -> Iterator[str]:
    """Yield the lines that answer each query (a picture, or a folder of them); write `html`. Raises UserError."""
    if top < 1:
        raise UserError(f"--top {top}: must be at least 1")
    model = load(find_run(run))
    calibration, pictures = model.calibration, _pictures(queries)
    with console_progress() as show:
        asked = model.embed(pictures)
        found = open_gallery(model, gallery, show)
    hits = found.search(asked, top)
    paths = found.features.paths
    answers = [
        Answer(
            picture,
            [
                Hit(rank, paths[position], float(value), calibration.verdict(float(value)) if calibration else None)
                for rank, (position, value) in enumerate(zip(*row, strict=True), start=1)
                if position >= 0  # an index may find fewer
            ],
        )
        for picture, row in zip(pictures, zip(*hits, strict=True), strict=True)
    ]
    note = f"{model.record.key}, {len(found)} pictures, search: {found.how}. {meaning(calibration)}"
    if html:
        write_text(html, sheet(f"Search in {gallery}", note, answers, Path(found.features.folder)))
    if as_json:
        yield json.dumps([asdict(answer) for answer in answers], indent=2)
        return
    for answer in answers:
        yield answer.query
        for hit in answer.hits:
            yield f"  {hit.rank:3d}  {hit.similarity:6.3f}  {hit.verdict or '':9}  {hit.path}".replace("  " * 6, "  ")
    yield note
    if html:
        yield f"wrote {html}"


def _pictures(queries: Sequence[str]) -> list[str]:
    return [
        picture
        for query in queries
        for picture in ([f"{query}/{name}" for name in pictures_in(Path(query))] if Path(query).is_dir() else [query])
    ]
