"""What the commands share: how they speak, find the project and complete names."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from harness.errors import UserError
from harness.inputs.text import printable

if TYPE_CHECKING:
    from harness.specs.registry import Registry


def complete(kind: str) -> Callable[[str], list[str]]:
    """What completes the names of methods, datasets, tasks or planned keys; nothing where there is no project."""

    def completion(incomplete: str) -> list[str]:
        try:
            project = registry()
        except UserError:
            return []
        names = {
            "method": list(project.methods),
            "dataset": list(project.datasets),
            "task": sorted({pairing.task for pairing in project.planned.values()}),
            "key": list(project.planned),
        }[kind]
        return [name for name in names if name.startswith(incomplete)]

    return completion


def registry() -> Registry:
    """Return the specs of the project around the current folder."""
    from harness.paths import project_root
    from harness.specs.registry import Registry

    return Registry.load(project_root())


def names(text: str) -> list[str] | None:
    """Return what a comma-separated option names; None if it is empty."""
    return [part.strip() for part in text.split(",") if part.strip()] or None


def whole_numbers(option: str, text: str) -> list[int] | None:
    """Return what a comma-separated option lists; None if it is empty. Raises UserError."""
    parts = [part.strip() for part in text.split(",")] if text else []
    if not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        raise UserError(f"{option} {text}: expected whole numbers separated by commas, like 0,1,2")
    return [int(part) for part in parts] or None


def say(text: str, weight: bool = False) -> None:
    """Write what was asked for; `weight`: with what of it is bold, dim or underlined."""
    sys.stdout.write(_fitted(printable(text, weight), sys.stdout) + "\n")


def log(text: str) -> None:
    """Write what happens meanwhile."""
    sys.stderr.write(_fitted(printable(text), sys.stderr) + "\n")
    sys.stderr.flush()


def _fitted(text: str, stream: TextIO) -> str:
    """Text that breaks between words where the stream is a terminal."""
    if not stream.isatty():
        return text
    from harness.commands.screen import width, wrapped

    return wrapped(text, width(stream))
