"""`harness weights`: which files of published weights the specs need, where they are, and fetching those missing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.commands.progress import console_progress
from harness.errors import UserError
from harness.inputs.download import download
from harness.learning.backbones.base import Published
from harness.learning.published import BY_HAND, places
from harness.specs.method import InitFile
from harness.specs.registry import Registry


@dataclass(frozen=True)
class Needed:
    """A file of weights: where it is published (or '' for a user's own), where it is, and which methods start there."""

    name: str
    url: str
    path: Path | None
    methods: tuple[str, ...]


def needed(registry: Registry) -> list[Needed]:
    """Return every file of weights that some regime of some method starts from, by name."""
    users: dict[tuple[str, Published | None], set[str]] = defaultdict(set)
    for method in registry.checked().methods.values():
        for section in method.regimes.values():
            if isinstance(section.init, InitFile):
                users[section.init.file, None].add(method.name)
            elif isinstance(section.init, str) and (known := section.compute.network.backbone.weights(section.init)):
                users[known.file, known].add(method.name)
    return [
        Needed(name, known.url if known else "", _found(registry.root, name, known), tuple(sorted(methods)))
        for (name, known), methods in sorted(users.items(), key=lambda one: one[0][0])
    ]


def list_weights(registry: Registry) -> Iterator[str]:
    """Yield one line per file: whether it is here, where, and for which methods."""
    for found in needed(registry):
        users = ", ".join(found.methods[:4]) + (f" and {len(found.methods) - 4} more" if len(found.methods) > 4 else "")
        where = str(found.path) if found.path else f"missing; {found.url or 'bring it yourself'}"
        yield f"{found.name}: {where} (for {users})"


def fetch_weights(registry: Registry, names: list[str]) -> Iterator[str]:
    """Fetch the missing files (of these names; default: all) into data/weights/. Raises UserError."""
    known = {found.name: found for found in needed(registry)}
    for name in names:
        if name not in known:
            raise UserError(f"no spec starts from {name!r}; there are {', '.join(known)}")
    for name, found in known.items():
        if found.path or (names and name not in names):
            continue
        if not found.url:
            raise UserError(f"{name}: is published nowhere; bring it to {registry.root / name}")
        with console_progress() as show:
            download(found.url, registry.root / BY_HAND / name, show)
        yield f"fetched {BY_HAND / name}"
    yield "nothing is missing" if all(found.path for found in known.values()) else "done"


def _found(root: Path, name: str, known: Published | None) -> Path | None:
    where = places(known, root) if known else [root / name]
    return next((place for place in where if place.is_file()), None)
