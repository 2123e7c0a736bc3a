"""`harness weights`: which files of published weights the specs need, where they are, and fetching those missing."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.commands.progress import console_progress
from harness.errors import UserError
from harness.inputs.download import download, file_name
from harness.specs.method import InitFile
from harness.specs.registry import Registry

BY_HAND = Path("data/weights")


@dataclass(frozen=True)
class Needed:
    """A file of weights: where it is published (or '' for a user's own), where it is, and which methods start there."""

    name: str
    url: str
    path: Path | None
    methods: tuple[str, ...]


def needed(registry: Registry) -> list[Needed]:
    """Return every file of weights that some regime of some method starts from, by name."""
    users: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for method in registry.checked().methods.values():
        for section in method.regimes.values():
            backbone = section.compute.network.backbone
            if section.init == "imagenet" and backbone.imagenet:
                users[file_name(backbone.imagenet), backbone.imagenet, backbone.kind].add(method.name)
            elif isinstance(section.init, InitFile):
                users[section.init.file, "", ""].add(method.name)
    return [
        Needed(name, url, _found(registry.root, name, url, kind), tuple(sorted(methods)))
        for (name, url, kind), methods in sorted(users.items())
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


def _found(root: Path, name: str, url: str, kind: str) -> Path | None:
    if not url:
        return root / name if (root / name).is_file() else None
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "torch")
    places = [
        Path(home).expanduser() / "hub" / "checkpoints" / name,
        root / BY_HAND / name,
        root / BY_HAND / f"{kind}.pth",
    ]
    return next((place for place in places if place.is_file()), None)
