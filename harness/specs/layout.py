"""How a dataset lies on disk: folders or lists of images, and a pattern that reads identity and camera off a name."""

from __future__ import annotations

from harness.specs.base import Frozen


class Layout(Frozen):
    """Three folders of images whose names match `pattern` (named groups `id` and `camera`)."""

    train: str
    query: str
    gallery: str
    pattern: str
