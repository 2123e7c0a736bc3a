"""`harness data add`: import a dataset, then activate its pairings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from harness.data.add import Link, add_dataset
from harness.data.progress import console_progress
from harness.errors import UserError
from harness.pipeline.plan import plan_pairings, write_plan
from harness.specs.registry import Registry


def add(registry: Registry, name: str, path: Path, link: str, allow_mismatch: bool) -> Iterator[str]:
    """Import `name` from `path` and yield what happened, line by line. Raises UserError, with nothing registered."""
    spec = registry.checked().dataset(name)
    if spec.drawn is not None:
        raise UserError(f"{name} is drawn, not imported; run: dvc repro prepare@{name}")
    if link not in get_args(Link):
        raise UserError(f"--link {link}: must be one of {', '.join(get_args(Link))}")
    with console_progress() as show:
        added = add_dataset(spec, path, registry.root, link, allow_mismatch, show)  # type: ignore[arg-type]
    for finding in added.verification.findings if added.verification else ():
        yield f"{finding.level}: {finding.text}"
    yield f"{name}: {added.images} images in {added.folder.relative_to(registry.root)}"
    if not added.versioned:
        yield "note: not inside a DVC repository, so the folder is not versioned"
    seeds = sorted({pairing.seed for pairing in registry.planned.values()}) or [0, 1, 2]
    pairings = plan_pairings(registry, seeds)
    write_plan(registry, pairings)
    active = [pairing for pairing in pairings if name in (pairing.target, pairing.source)]
    yield f"pairings.yaml: {len(active)} pairings with {name}; run them with: dvc repro"
