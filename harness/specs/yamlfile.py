"""Validation errors of YAML files that name the file, the line and the nearest valid name."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml.nodes import MappingNode, SequenceNode

from harness.errors import UserError
from harness.inputs.limits import MISTAKES
from harness.inputs.yaml import compose
from harness.specs.resolve import OWN_KEYS

Model = TypeVar("Model", bound=BaseModel)
Location = Sequence[str | int]


def line_of(path: Path, location: Location) -> int | None:
    """Return the line of the deepest part of `location` that `path` states; None if not even its first key is there."""
    return _find(path, location)[0]


def _find(path: Path, location: Location) -> tuple[int | None, int]:
    """Return the line of the deepest part of `location` that `path` states, and how many of its steps that are."""
    node = compose(path)
    line: int | None = None
    for depth, step in enumerate(location):
        if isinstance(node, MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == str(step)), None)
            if found is None:
                return line, depth
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line + 1
        else:
            return line, depth
    return line, len(location)


def validate(
    model: type[Model], data: Mapping[str, Any], paths: Sequence[Path], places: Sequence[Location] = ((),)
) -> Model:
    """Validate `data` as `model`. `paths` are the files it came from, the spec itself first, then what it extends.

    `places` are the places inside those files that `data` was merged from, the one that wins first.
    Raises UserError with one line per mistake.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise UserError("\n".join(describe(error, model, paths, places))) from error


def describe(
    error: ValidationError, model: type[BaseModel], paths: Sequence[Path], places: Sequence[Location]
) -> list[str]:
    """Return one line per mistake: `file:line: key: what is wrong; did you mean …?`."""
    lines = []
    mistakes = error.errors()
    for detail in mistakes[:MISTAKES]:
        *above, last = detail["loc"] or ("",)
        location = [step for step in above if not _is_union_tag(step)]
        if last and (detail["type"] == "extra_forbidden" or not _is_union_tag(last)):  # any key may be unknown
            location.append(last)
        candidates = [[*place, *location] for place in places]
        own = bool(candidates[-1]) and candidates[-1][0] in OWN_KEYS
        path, line, chosen = _where(paths[:1] if own else paths, candidates)
        where, dotted = f"{path}:{line}", ".".join(map(str, chosen)) or "(the whole spec)"
        if detail["type"] == "extra_forbidden":
            hint = nearest(str(location[-1]), _fields_at(model, location[:-1]))
            message = f"{where}: {dotted}: unknown key{hint}"
        elif detail["type"] == "missing":
            message = f"{where}: {dotted}: required, but not stated"
        else:
            found = detail["input"]
            shown = f" (found {found!r})" if isinstance(found, str | int | float | bool | None) else ""
            message = f"{where}: {dotted}: {detail['msg'].removeprefix('Value error, ')}{shown}"
        if message not in lines:
            lines.append(message)
    if len(mistakes) > MISTAKES:
        lines.append(f"{paths[0]}: and {len(mistakes) - MISTAKES} more mistakes")
    return lines


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return `"; did you mean 'x'?"`, or the list of valid names where none is near."""
    names = sorted(valid)
    match = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if match:
        return f"; did you mean {match[0]!r}?"
    return f"; valid: {', '.join(names)}" if names else ""


def _where(paths: Sequence[Path], candidates: Sequence[Location]) -> tuple[Path, int, Location]:
    """Return file, line and location of a value: the first candidate that a file states as a whole.

    Of a value that is stated nowhere: the file that states most of the last candidate.
    """
    for location in candidates:
        found = [(_find(path, location), path) for path in paths]
        for (line, depth), path in found:
            if line is not None and depth == len(location):
                return path, line, location
    (line, _), path = max(found, key=lambda item: item[0][1])
    return path, line or 1, candidates[-1]


def _is_union_tag(step: str | int) -> bool:
    """Whether pydantic inserted `step` to name a branch of a union (a key of a spec never looks like this)."""
    return isinstance(step, str) and ("[" in step or step[:1].isupper())


def _fields_at(model: Any, location: Location) -> set[str]:
    """Return the valid keys of the model that stands at `location` inside `model`."""
    if not location:
        candidates = [model, *typing.get_args(model)] if not isinstance(model, type) else [model]
        fields: set[str] = set()
        for candidate in candidates:
            if isinstance(candidate, type) and issubclass(candidate, BaseModel):
                fields |= set(candidate.model_fields)
        return fields
    step, rest = location[0], location[1:]
    if isinstance(model, type) and issubclass(model, BaseModel):
        field = model.model_fields.get(str(step))
        return _fields_at(field.annotation, rest) if field else set()
    origin, arguments = typing.get_origin(model), typing.get_args(model)
    if origin in (types.UnionType, typing.Union):
        return set().union(*(_fields_at(argument, location) for argument in arguments))
    if origin is typing.Annotated:
        return _fields_at(arguments[0], location)
    if origin is dict:
        return _fields_at(arguments[1], rest)
    if origin in (list, tuple):
        return _fields_at(arguments[0], rest)
    return set()
