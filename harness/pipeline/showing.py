"""`harness data show`: statistics of a dataset and a sheet of sample images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.data import read_dataset
from harness.data.sheet import sample_sheet, split_statistics
from harness.errors import UserError
from harness.pipeline.listing import show
from harness.pipeline.paths import raw_folder, replacing
from harness.specs.registry import Registry


def show_dataset(registry: Registry, name: str, output: Path) -> Iterator[str]:
    """Yield a table of the splits, and write `<output>/<name>.png`: rows are identities, columns cameras."""
    spec, folder = registry.dataset(name), raw_folder(registry.root, name)
    if not folder.exists():
        how = f"dvc repro prepare@{name}" if spec.drawn else f"harness data add {name} PATH"
        raise UserError(f"{name} is not here yet; run: {how}")
    dataset = read_dataset(spec, folder)
    yield f"{spec.title} ({spec.kind}s): {spec.access.licence}"
    yield show([vars(row) for row in split_statistics(spec, dataset)], as_json=False)
    path = registry.root / output / f"{name}.png"
    with replacing(path) as partial:
        sample_sheet(spec, dataset, folder).save(partial, format="png")
    yield f"sample sheet: {path.relative_to(registry.root)}"
