"""`harness list parts`: the sockets of a spec, the kinds that fit them, and the parameters of each kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel

from harness.labels.clusterings import Clustering
from harness.labels.distances import Distance
from harness.learning.backbones import Backbone
from harness.learning.optimizers import Optimizer
from harness.learning.pooling import Pooling
from harness.learning.schedules import Schedule
from harness.specs.resolve import KIND

SOCKETS: dict[str, Any] = {
    "params.labels.distance": Distance,
    "params.labels.clustering": Clustering,
    "compute.network.backbone": Backbone,
    "compute.network.pooling": Pooling,
    "compute.optimizer": Optimizer,
    "compute.schedule": Schedule,
}
"""Where a kind is chosen, by its place in a spec."""
BOUNDS = {
    "exclusiveMinimum": ">", "minimum": ">=", "exclusiveMaximum": "<", "maximum": "<=", "minItems": "at least",
}  # fmt: skip


def part_rows() -> list[dict[str, Any]]:
    """Return one row per kind and, below it, one per parameter: socket, kind, parameter, type, description."""
    return [
        {"socket": socket, "kind": kind, "parameter": parameter, "type": type_, "description": description}
        for socket, choice in SOCKETS.items()
        for part in _kinds(choice)
        for kind, parameter, type_, description in _part_rows(part)
    ]


def _kinds(choice: Any) -> tuple[type[BaseModel], ...]:
    """The models of an annotated union, or of a socket with a single kind."""
    if isinstance(choice, type) and issubclass(choice, BaseModel):
        return (choice,)
    union, *_ = get_args(choice)
    return get_args(union)


def _part_rows(part: type[BaseModel]) -> Iterator[tuple[str, str | None, str | None, str]]:
    (kind,) = get_args(part.model_fields[KIND].annotation)
    yield kind, None, None, (part.__doc__ or "").strip().split("\n")[0]
    for name, schema in part.model_json_schema()["properties"].items():
        if name != KIND:
            yield kind, name, _type(schema), schema.get("description", "")


def _type(schema: dict[str, Any]) -> str:
    """A JSON Schema of one value in words: `number, > 0, < 1`."""
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    bounds = [f"{word} {schema[key]:g}" for key, word in BOUNDS.items() if key in schema]
    items = schema.get("items") or next(iter(schema.get("prefixItems", ())), None)
    inner = f" of {_type(items)}" if items else ""
    return ", ".join([schema.get("type", "value") + inner, *bounds])
