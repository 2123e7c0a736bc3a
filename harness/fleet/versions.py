"""Whether two machines have the same Python and the same packages: else they may not compute the same numbers."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from harness.errors import UserError

PROJECT = "reid-harness"
SHOWN = 8


def versions() -> dict[str, str]:
    """Return the versions of Python (3.11: a patch changes no number) and of every package that the project needs.

    Raises UserError if the project is not installed.
    """
    found = {"python": ".".join(platform.python_version_tuple()[:2])}
    pending, seen = [PROJECT], {PROJECT}
    while pending:
        name = pending.pop()
        try:
            package = distribution(name)
        except PackageNotFoundError:
            if name == PROJECT:
                raise UserError(
                    f"{PROJECT} is not installed in this environment; run: make, or pip install -e ."
                ) from None
            continue
        if name != PROJECT:
            found[name] = package.version
        for line in package.requires or ():
            needed = Requirement(line)
            wanted = canonicalize_name(needed.name)
            if wanted not in seen and (needed.marker is None or needed.marker.evaluate({"extra": ""})):
                seen.add(wanted)
                pending.append(wanted)
    return found


def differences(here: Mapping[str, str], there: Mapping[str, str]) -> str:
    """Return in words how the versions here differ from those there; '' if they do not."""
    lines = [
        f"{name} {here.get(name, 'missing')} instead of {there.get(name, 'none')}"
        for name in sorted(here.keys() | there.keys(), key=lambda name: (name != "python", name))
        if here.get(name) != there.get(name)
    ]
    more = f", and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
    return ", ".join(lines[:SHOWN]) + more
