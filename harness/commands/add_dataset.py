"""`harness data add`: import a dataset, then plan its pairings beside those that are planned already."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast, get_args

from harness.commands.progress import console_progress
from harness.errors import UserError
from harness.importing.add import Link, add_dataset
from harness.pipeline.pipelines import write_plan
from harness.pipeline.plan import plan_pairings, possible, with_inits
from harness.specs.registry import Registry


def add(registry: Registry, name: str, path: Path, link: str, allow_mismatch: bool) -> Iterator[str]:
    """Import `name` from `path` and yield what happened, line by line. Raises UserError, with nothing registered."""
    spec = registry.checked().dataset(name)
    if link not in get_args(Link):
        raise UserError(f"--link {link}: must be one of {', '.join(get_args(Link))}")
    with console_progress() as show:
        added = add_dataset(spec, path, registry.root, cast(Link, link), allow_mismatch, show)
    for finding in added.verification.findings if added.verification else ():
        yield f"{finding.level}: {finding.text}"
    already = "" if added.verification else "already there: "
    origin = f", read from {added.source}" if added.verification else ""
    yield f"{name}: {already}{added.images} images in {added.folder.relative_to(registry.root)}{origin}"
    if not added.versioned:
        yield (
            "note: this is no DVC repository, so the folder is not versioned and nothing is planned; "
            "run 'git init' and 'dvc init', then this command again"
        )
    else:
        yield from _activate(registry, name)


def _activate(registry: Registry, name: str) -> Iterator[str]:
    """Plan every pairing with dataset `name` beside what is planned; unless some with it are planned."""
    planned = [pairing for pairing in registry.planned.values() if possible(registry, pairing)]
    there = [pairing for pairing in planned if name in (pairing.source, pairing.target)]
    if there:
        yield f"pipelines: {len(there)} pairings with {name}, as before"
        return
    wanted = [pairing for pairing in plan_pairings(registry) if name in (pairing.source, pairing.target)]
    yield from write_plan(registry, with_inits(registry, [*planned, *wanted]))
    yield f"pipelines: {len(wanted)} pairings with {name} added; run them with: harness run '*{name}__s*'"
    yield f"to record this in Git: git add data/raw/{name}.dvc pipelines"
