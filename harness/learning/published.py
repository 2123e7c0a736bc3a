"""Which files of published weights there are, and where they may lie. Loads no torch: `harness weights` asks, too."""

from __future__ import annotations

import os
from pathlib import Path

from harness.learning.backbones import Timm
from harness.learning.backbones.base import BackboneKind, Published

BY_HAND = Path("data/weights")
"""Below the project: where a file is fetched to, and where a user brings one."""


def no_weights(backbone: BackboneKind, init: str) -> str:
    """Return why a backbone has no weights that `init` could mean."""
    other = next((word for word in ("imagenet", "pretrained") if backbone.weights(word)), None)
    if other is None and isinstance(backbone, Timm) and init == "pretrained":
        return f"init: pretrained: which ones? the backbone's name says it by a tag: {backbone.name}.TAG"
    what = "ImageNet weights" if init == "imagenet" else "published weights"
    hint = f"; say init: {other}" if other else ""
    return f"init: {init}: there are no {what} for backbone {backbone.kind!r}{hint}"


def places(known: Published, root: Path) -> list[Path]:
    """Return where the file may lie: the cache of the program that it is published for, and the project."""
    return [*_cached(known), root / BY_HAND / known.file, root / BY_HAND / known.other]


def _cached(known: Published) -> list[Path]:
    if known.repository is None:
        home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "torch")
        return [Path(home).expanduser() / "hub" / "checkpoints" / known.file]
    from huggingface_hub import try_to_load_from_cache  # takes a third of a second

    found = try_to_load_from_cache(known.repository, known.url.rpartition("/")[2])
    return [Path(found)] if isinstance(found, str) else []
