"""`harness data add`: import a dataset, then plan its pairings beside those that are planned already."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast, get_args

from harness.commands.progress import console_progress
from harness.errors import UserError
from harness.importing.add import Link, add_dataset
from harness.importing.propose import propose
from harness.paths import write_text
from harness.pipeline.pipelines import write_plan
from harness.pipeline.plan import plan_pairings, possible, with_inits
from harness.specs.base import SLUG
from harness.specs.registry import Registry


def add_or_propose(
    registry: Registry, name: str, path: Path, link: str, allow_mismatch: bool, agreed: Callable[[str], bool]
) -> Iterator[str]:
    """Do as `add`; for a name without a spec, propose one for the folder and write it if `agreed` says yes to it.

    Raises UserError if nobody agrees, or the name or the folder will not do; the spec is then not written.
    """
    file = registry.root / "datasets" / f"{name}.yaml"
    if name in registry.datasets or file.exists() or path.is_file():
        yield from add(registry, name, path, link, allow_mismatch)
        return
    if not SLUG.fullmatch(name):
        raise UserError(f"{name!r} is not a valid name: lower-case letters and digits, joined by single '-' or '.'")
    found = propose(name, path)
    text = "\n".join([*(f"- {note}" for note in found.notes), "", found.text])
    if not agreed(f"No dataset is called {name!r}. Proposed for {path}:\n{text}"):
        raise UserError(f"nothing was written; say yes, give --yes, or write datasets/{name}.yaml by hand")
    write_text(file, found.text)
    try:
        yield from add(Registry.load(registry.root), name, path, link, allow_mismatch)
    except UserError:
        file.unlink()
        raise


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
    if first := next((pairing for pairing in wanted if registry.methods[pairing.method].starter), None):
        yield f"one method, to begin with: harness run '{first.method}__{first.task}__s*'"
    yield f"to record this in Git: git add datasets/{name}.yaml data/raw/{name}.dvc pipelines"
