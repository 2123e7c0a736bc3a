"""Validation errors of YAML files that name the file, the line and the nearest valid name."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from ruamel.yaml.nodes import MappingNode, SequenceNode

from harness.errors import UserError
from harness.inputs.limits import MISTAKES
from harness.inputs.yaml import compose
from harness.specs.resolve import KIND, OWN_KEYS

Model = TypeVar("Model", bound=BaseModel)
Location = Sequence[str | int]


def line_of(path: Path, location: Location) -> int | None:
    """Return the line of the deepest part of `location` that `path` states; None if not even its first key is there."""
    return _find(path, location)[0]


def _find(path: Path, location: Location) -> tuple[int | None, int]:
    """Return the line of the deepest part of `location` that `path` states, and how many of its steps that are.

    A file of `methods/regimes/` states what stands below `regimes.<its name>` in a method's own file.
    """
    inside: Location = ("regimes", path.stem) if path.parent.name == "regimes" else ()
    if list(location[: len(inside)]) != list(inside):
        return None, 0
    node = compose(path)
    line: int | None = None
    for depth, step in enumerate(location[len(inside) :], start=len(inside)):
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
        location, holder, socket = _walk(model, detail["loc"], detail["type"] == "extra_forbidden")
        kinds = _kinds(socket) if socket else {}
        if detail["type"] in ("union_tag_invalid", "union_tag_not_found"):
            location = [*location, KIND]
        candidates = [[*place, *location] for place in places]
        own = bool(candidates[-1]) and candidates[-1][0] in OWN_KEYS
        path, line, chosen = place_of(paths[:1] if own else paths, candidates)
        where, dotted = f"{path}:{line}", ".".join(map(str, chosen)) or "(the whole spec)"
        if detail["type"] == "extra_forbidden":
            message = f"{where}: {dotted}: {_unknown(str(location[-1]), holder, kinds)}"
        elif detail["type"] == "missing":
            message = f"{where}: {dotted}: required, but not stated"
        elif detail["type"] == "union_tag_invalid":
            tag = str(detail["ctx"]["tag"])
            message = f"{where}: {dotted}: no {location[-2]} is called {tag!r}{nearest(tag, kinds)}"
        elif detail["type"] == "union_tag_not_found":
            message = f"{where}: {dotted}: required, but not stated{nearest('', kinds)}"
        elif kinds and detail["type"] in ("model_attributes_type", "dict_type"):
            message = f"{where}: {dotted}: expected a mapping like {{kind: {next(iter(kinds))}}}{nearest('', kinds)}"
        else:
            found = detail["input"]
            shown = f" (found {found!r})" if isinstance(found, str | int | float | bool | None) else ""
            message = f"{where}: {dotted}: {detail['msg'].removeprefix('Value error, ')}{shown}"
        if message not in lines:
            lines.append(message)
    if len(mistakes) > MISTAKES:
        lines.append(f"{paths[0]}: and {len(mistakes) - MISTAKES} more mistakes")
    return lines


def _unknown(key: str, holder: Any, kinds: Mapping[str, type[BaseModel]]) -> str:
    """What is said of an unknown key; inside a part also which other kinds have it."""
    kind = next((name for name, part in kinds.items() if part is holder), None)
    if kind is None:
        return f"unknown key{nearest(key, _keys(holder))}"
    others = " and ".join(repr(name) for name, part in kinds.items() if key in part.model_fields)
    valid = _keys(holder) - {KIND}
    if others:
        return f"unknown key of kind {kind!r}, it is one of {others}; valid: {', '.join(sorted(valid)) or 'none'}"
    return f"unknown key of kind {kind!r}{nearest(key, valid) or '; valid: none'}"


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return `"; did you mean 'x'?"`, or the list of valid names where none is near."""
    names = sorted(valid)
    match = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if match:
        return f"; did you mean {match[0]!r}?"
    return f"; valid: {', '.join(names)}" if names else ""


def place_of(paths: Sequence[Path], candidates: Sequence[Location]) -> tuple[Path, int, Location]:
    """Return file, line and location of a value: the first candidate that a file states as a whole.

    Of a value that is stated nowhere: the file that states most of the last candidate.
    """
    for location in candidates:
        found = [(_find(path, location), path) for path in paths]
        for (line, depth), path in found:
            if line is not None and depth == len(location):
                return path, line, location
    (line, _), path = max(found, key=lambda item: (item[1].parent.name != "regimes", item[0][1]))
    return path, line or 1, candidates[-1]


def _walk(model: type[BaseModel], loc: Location, unknown_key: bool) -> tuple[list[str | int], Any, FieldInfo | None]:
    """Follow the place of a mistake through `model`.

    Returns the place as a file states it (without the branches of unions, which pydantic names in between), the type
    that holds its last key, and the last socket on the way: the field that takes one of several kinds.
    """
    location: list[str | int] = []
    holder, at, socket = None, model, None
    steps = list(loc)
    while steps:
        step = steps.pop(0)
        looks_like_a_branch = isinstance(step, str) and ("[" in step or step[:1].isupper() or not step)
        if looks_like_a_branch and (steps or not unknown_key):
            continue  # no valid key of a spec looks like this
        location.append(step)
        holder, field, at = at, *_below(at, step)
        if field is not None and (kinds := _kinds(field)):
            socket = field
            if steps and steps[0] in kinds:
                at = kinds[str(steps.pop(0))]
    return location, holder, socket


def _below(model: Any, step: str | int) -> tuple[FieldInfo | None, Any]:
    """Return the field (where it is one of a model) and the type that stand at `step` of a type, or None."""
    if isinstance(model, type) and issubclass(model, BaseModel):
        field = model.model_fields.get(str(step))
        return field, field.annotation if field else None
    origin, arguments = typing.get_origin(model), typing.get_args(model)
    if origin in (types.UnionType, typing.Union):
        return next((found for part in arguments if (found := _below(part, step))[1] is not None), (None, None))
    if origin is typing.Annotated:
        return _below(arguments[0], step)
    if origin is dict:
        return None, arguments[1]
    if origin in (list, tuple):
        return None, arguments[0]
    return None, None


def _kinds(field: FieldInfo) -> dict[str, type[BaseModel]]:
    """Return the alternatives of a field that is discriminated by `kind`; none of any other field."""
    if field.discriminator != KIND:
        return {}
    return {
        kind: part
        for part in typing.get_args(field.annotation)
        for kind in typing.get_args(part.model_fields[KIND].annotation)
    }


def _keys(model: Any) -> set[str]:
    """Return the valid keys of a model, or of the models that a union or an optional value allows."""
    parts = (model, *typing.get_args(model))
    models = [part for part in parts if isinstance(part, type) and issubclass(part, BaseModel)]
    return {name for part in models for name in part.model_fields}
