"""Tables of spec keys, from JSON Schemas: one row per key, by the dotted address that `dvc exp run -S` takes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

TYPES = {"integer": "integer", "number": "number", "boolean": "true or false", "string": "text", "object": "mapping"}
BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
HEAD = "| key | type | bounds | default | what it is |\n| :--- | :--- | :--- | :--- | :--- |"

Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """One key: its dotted address and, in words, what it may hold."""

    key: str
    type: str
    bounds: str
    default: str
    description: str

    def __str__(self) -> str:
        cells = (f"`{self.key}`", self.type, self.bounds, self.default, self.description)
        return "| " + " | ".join(map(_cell, cells)) + " |"


@dataclass
class Table:
    """The keys of one model, nested models spread out below their key.

    `schema` is a model's JSON Schema. A model named in `links` has a page of its own and is not spread out; one that
    comes up a second time refers to the first.
    """

    schema: Schema
    links: Mapping[str, str] = field(default_factory=dict)
    heading: str = "##"
    _seen: dict[str, str] = field(default_factory=dict, init=False)

    def rows(self) -> list[Row]:
        """Every key, parents before their children, in the order of the model."""
        return list(self._rows(self.schema, ""))

    def __str__(self) -> str:
        """One table of the keys at the top; then a section for each of them that holds a model of its own."""
        groups = [(key, list(rows)) for key, rows in groupby(self.rows(), lambda row: re.split(r"[.\[]", row.key)[0])]
        if not groups:
            return "No keys."
        parts = [_table([rows[0] for _, rows in groups])]
        parts += [f"{self.heading} `{key}`\n\n{_table(rows[1:])}" for key, rows in groups if len(rows) > 1]
        return "\n\n".join(parts)

    def _rows(self, schema: Schema, prefix: str) -> Iterator[Row]:
        required = schema.get("required", ())
        for name, value in schema.get("properties", {}).items():
            key = prefix + name
            nested = {model: where for model, where in self._nested(value, key) if model not in self.links}
            again = [self._seen[model] for model in nested if model in self._seen]
            new = [self._definition(model)["description"] for model in nested if model not in self._seen]
            text = value.get("description") or " ".join(new)
            yield Row(
                key,
                self._type(value),
                ", ".join(dict.fromkeys(_bounds(value))),
                "required" if name in required else _default(value),
                _sentence(text, f"keys as for `{again[0]}`") if again else text,
            )
            for model, where in nested.items():
                if model not in self._seen:
                    self._seen[model] = where
                    yield from self._rows(self._definition(model), where + ".")

    def _definition(self, name: str) -> Schema:
        """The model called `name`: of a model that may also be written as a plain text, the mapping."""
        definition: Schema = self.schema["$defs"][name]
        mapping = next((part for part in definition.get("anyOf", ()) if "properties" in part), definition)
        return mapping if "description" in mapping else {**mapping, "description": ""}

    def _nested(self, value: Schema, key: str) -> Iterator[tuple[str, str]]:
        """The models that `value` may hold, each with the address at which its keys begin."""
        if "$ref" in value:
            name = _name(value)
            if "properties" in self._definition(name) or name in self.links:
                yield name, key
        for part in (*value.get("anyOf", ()), *value.get("oneOf", ())):
            yield from self._nested(part, key)
        if isinstance(items := value.get("items"), dict):
            yield from self._nested(items, f"{key}[]")
        if isinstance(values := value.get("additionalProperties"), dict):
            yield from self._nested(values, f"{key}.NAME")

    def _type(self, value: Schema) -> str:
        if "$ref" in value:
            name = _name(value)
            definition = self.schema["$defs"][name]
            return self.links.get(name) or ("mapping" if "properties" in definition else self._type(definition))
        if "const" in value:
            return _code(value["const"])
        if "enum" in value:
            return " · ".join(map(_code, value["enum"]))
        if alternatives := value.get("anyOf") or value.get("oneOf"):
            kinds = dict.fromkeys(self._type(part) for part in alternatives if part.get("type") != "null")
            return (" · " if kinds.keys() <= set(self.links.values()) else " or ").join(kinds)
        if "prefixItems" in value:
            return f"[{', '.join(map(self._type, value['prefixItems']))}]"
        if value.get("type") == "array":
            return f"list of {self._type(value['items'])}" if value.get("items") else "list"
        if isinstance(values := value.get("additionalProperties"), dict):
            names = " · ".join(map(_code, value.get("propertyNames", {}).get("enum", ())))
            return f"mapping from {names or 'names'} to {self._type(values)}"
        return TYPES.get(value.get("type", ""), "anything")


def _sentence(text: str, more: str) -> str:
    return f"{text.rstrip('.')}; {more}" if text else more


def _table(rows: list[Row]) -> str:
    body = "\n".join([HEAD, *map(str, rows)])
    return f'<div class="keys" markdown>\n\n{body}\n\n</div>'


def _name(value: Schema) -> str:
    return str(value["$ref"]).rsplit("/", 1)[-1]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n\n", "<br>").replace("\n", " ")


def _code(value: object) -> str:
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _bounds(value: Schema) -> Iterator[str]:
    yield from (f"{sign} {value[bound]:g}" for bound, sign in BOUNDS.items() if bound in value)
    if "minItems" in value and value["minItems"] == value.get("maxItems"):
        yield f"{value['minItems']} items"
    elif "minItems" in value:
        yield f"at least {value['minItems']}"
    if "pattern" in value:
        yield f"matches `{value['pattern']}`"
    for part in (*value.get("anyOf", ()), *value.get("prefixItems", ())):
        yield from _bounds(part)
    if isinstance(items := value.get("items"), dict):
        yield from (f"each {bound}" for bound in _bounds(items))


def _default(value: Schema) -> str:
    return _code(value["default"]) if value.get("default") not in (None, "") else "none"
