"""What YAML and JSON documents may hold: mappings, lists and scalars, within limits."""

from __future__ import annotations

from typing import Any

from harness.errors import UserError
from harness.inputs.limits import DEPTH, INTEGER, NODES, STRING


def check_tree(value: Any, where: str) -> None:
    """Raise UserError, beginning with `where`, if a document is too deep or large, or holds what no store can keep."""
    pending: list[tuple[Any, int, str]] = [(value, 0, "")]
    nodes = 0
    while pending:
        item, depth, path = pending.pop()
        nodes += 1
        if nodes > NODES:
            raise UserError(f"{where}: holds more than {NODES:,} values; no document of ours does")
        if depth > DEPTH:
            raise UserError(f"{where}: {path[:80]}…: more than {DEPTH} levels; no document of ours has so many")
        if isinstance(item, dict):
            for key, below in item.items():
                if isinstance(key, str):
                    _check_text(key, f"{where}: a key")
                pending.append((below, depth + 1, f"{path}.{str(key)[:80]}"))
        elif isinstance(item, list | tuple | set):
            pending += [(below, depth + 1, f"{path}[{index}]") for index, below in enumerate(item)]
        elif isinstance(item, str):
            _check_text(item, f"{where}: {path.lstrip('.')[:200]}")
        elif isinstance(item, int) and abs(item) >= INTEGER:
            raise UserError(f"{where}: {path.lstrip('.')[:200]}: an integer of more than 64 bits")


def _check_text(text: str, where: str) -> None:
    if len(text) > STRING:
        raise UserError(f"{where}: a text of more than {STRING:,} characters")
    if "\0" in text or not _encodable(text):
        raise UserError(f"{where}: {text[:40]!r} holds characters that are no text")


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True
