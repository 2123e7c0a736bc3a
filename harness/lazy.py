"""Packages whose parts load on first use, so that commands that do not train never import torch or Numba."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_attributes(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a module's `__getattr__` (PEP 562): `homes` maps each public name to `module` or `module:attribute`.

    >>> __getattr__ = lazy_attributes(__name__, {"rank": "harness.evaluation.ranking:rank"})  # doctest: +SKIP
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, _, attribute = homes[name].partition(":")
        found = import_module(module)
        return getattr(found, attribute) if attribute else found

    return get
