"""YAML files, read safely: no tag runs code, no alias or nesting takes the machine's memory."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, ScalarEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from harness.errors import UserError
from harness.inputs.files import read_text
from harness.inputs.limits import DEPTH, EXPLAINED, NODES
from harness.inputs.tree import check_tree


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in `path`. Raises UserError (with the line) for broken YAML, a duplicate key or no mapping."""
    text = read_text(path)
    try:
        _check_events(text, path)
        data = YAML(typ="safe").load(text)
    except UserError:
        raise
    except Exception as error:  # ruamel.yaml raises what its constructors meet: also ValueError, KeyError, TypeError
        raise (_explained(text, path) if len(text) <= EXPLAINED else _told(error, path)) from None
    if not isinstance(data, dict):
        raise UserError(f"{path}:1: expected a mapping (key: value lines), found {type(data).__name__}")
    check_tree(data, str(path))
    return data


def compose(path: Path) -> Node | None:
    """Return the nodes of a file that `read_yaml` accepts, to find lines in. Raises UserError for others."""
    text = read_text(path)
    return _composed(text, path)


@lru_cache(maxsize=8)  # a spec with many mistakes asks once for each
def _composed(text: str, path: Path) -> Node | None:
    _check_events(text, path)
    node: Node | None = YAML(typ="safe").compose(text)
    return node


def _check_events(text: str, path: Path) -> None:
    """Refuse a document by its events, before anything is built of it: its levels, and its size with all aliases."""
    sizes: dict[str, int] = {}  # of what an anchor stands for
    open_: list[tuple[str | None, int]] = []  # anchor of each collection that is open, and the nodes before it
    nodes = 0
    for event in YAML(typ="safe").parse(text):
        if isinstance(event, AliasEvent):
            if event.anchor in {anchor for anchor, _ in open_}:
                raise _wrong(path, event, "an alias of what it stands in")
            nodes += sizes.get(event.anchor, 1)
        elif isinstance(event, CollectionStartEvent):
            open_.append((event.anchor, nodes))
            nodes += 1
            if len(open_) > DEPTH:
                raise _wrong(path, event, f"more than {DEPTH} levels; no spec has so many")
        elif isinstance(event, CollectionEndEvent):
            anchor, before = open_.pop()
            if anchor:
                sizes[anchor] = nodes - before
        elif isinstance(event, ScalarEvent):
            nodes += 1
            if event.anchor:
                sizes[event.anchor] = 1
        if nodes > NODES:
            raise _wrong(path, event, f"with its aliases it holds more than {NODES:,} values; write them out")


def _wrong(path: Path, event: Any, what: str) -> UserError:
    return UserError(f"{path}:{event.start_mark.line + 1}: {what}")


def _explained(text: str, path: Path) -> UserError:
    """Find by the slow parser, whose messages say more, what the fast one refused."""
    yaml = YAML(typ="safe", pure=True)
    try:
        node = yaml.compose(text)
        for scalar in _scalars(node):
            try:
                yaml.constructor.construct_object(scalar)
            except MarkedYAMLError:
                raise
            except Exception:  # a date, number or tag that is none
                tag = str(scalar.tag).rpartition(":")[2]
                return UserError(
                    f"{path}:{scalar.start_mark.line + 1}: {str(scalar.value)[:80]!r} is not a valid {tag}; "
                    "quote it if it is a text"
                )
        yaml.constructor.construct_document(node)
    except Exception as error:
        return _told(error, path)
    return UserError(f"{path}: not valid YAML")


def _told(error: Exception, path: Path) -> UserError:
    if isinstance(error, MarkedYAMLError):
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        return UserError(f"{path}:{line}: {(error.problem or 'not valid YAML').splitlines()[0]}")
    return UserError(f"{path}: not valid YAML: {str(error).strip() or type(error).__name__}")


def _scalars(node: Node | None) -> list[ScalarNode]:
    found, pending, seen = [], [node], set()
    while pending:
        item = pending.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, ScalarNode):
            found.append(item)
        elif isinstance(item, SequenceNode):
            pending += item.value
        elif isinstance(item, MappingNode):
            pending += [part for pair in item.value for part in pair]
    return sorted(found, key=lambda scalar: scalar.start_mark.index)
