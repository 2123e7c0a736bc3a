"""`harness data show`: statistics of a dataset and a sheet of sample images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.commands.list import Row, show
from harness.data import read_dataset
from harness.errors import UserError
from harness.importing.sheet import SplitStatistics, sample_sheet, split_statistics
from harness.paths import raw_folder, replacing
from harness.specs.registry import Registry


def show_dataset(registry: Registry, name: str, output: Path) -> Iterator[str]:
    """Yield a table of the splits, and write `<output>/<name>.png`: rows are identities, columns cameras."""
    spec, folder = registry.dataset(name), raw_folder(registry.root, name)
    if not folder.exists():
        how = f"dvc repro prepare@{name}" if spec.drawn else f"harness data add {name} PATH"
        raise UserError(f"{name} is not here yet; run: {how}")
    dataset = read_dataset(spec, folder)
    yield f"{spec.title} ({spec.kind}s): {spec.access.license}"
    if spec.access.withdrawn:
        yield f"withdrawn: {spec.access.withdrawn}"
    yield show([_row(split) for split in split_statistics(spec, dataset)], as_json=False)
    yield "per id: fewest–median–most, without distractors; junk is left out of the images"
    path = registry.root / output / f"{name}.png"
    with replacing(path) as partial:
        sample_sheet(spec, dataset, folder).save(partial, format="png")
    yield f"sample sheet: {output / path.name}"


def _row(split: SplitStatistics) -> Row:
    return {
        "split": split.split, "images": split.images, "ids": split.ids, "cameras": split.cameras or None,
        "images per id": _spread(split.images_per_id), "cameras per id": _spread(split.cameras_per_id),
        "distractors": split.distractors, "junk": split.dropped,
    }  # fmt: skip


def _spread(values: tuple[int, float, int]) -> str | None:
    return "–".join(f"{value:g}" for value in values) if any(values) else None
