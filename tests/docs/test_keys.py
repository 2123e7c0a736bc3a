"""Tables of spec keys say what the models say, and every key says what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, Field

from harness.commands.list_parts import SOCKETS
from harness.specs.compute import Compute
from harness.specs.dataset import DatasetSpec
from harness.specs.method import MethodSpec
from harness.specs.registry import Registry, import_algorithm
from scripts.docs.keys import Table
from scripts.docs.specs import kinds, links

REGISTRY = Registry.load(Path(__file__).parents[2]).checked()
ALGORITHMS = sorted({method.algorithm for method in REGISTRY.methods.values()})


class Part(BaseModel):
    """A part."""

    size: int = Field(gt=0, le=9, description="a | b")


class Whole(BaseModel):
    kind: Literal["x", "y"] = Field(description="one of two")
    first: Part
    second: Part = Field(description="the other part")
    many: list[Part] = []
    by_name: dict[str, Part] = {}
    pair: tuple[float, float] | None = Field(default=None, description="two numbers")
    count: int = Field(default=3, ge=1, description="a number")


def rows(model: type[BaseModel]) -> dict[str, tuple[str, str, str, str]]:
    table = Table(model.model_json_schema(), links(SOCKETS))
    return {row.key: (row.type, row.bounds, row.default, row.description) for row in table.rows()}


def test_keys_have_type_bounds_default_and_description() -> None:
    found = rows(Whole)
    assert found["kind"] == ("`x` · `y`", "", "required", "one of two")
    assert found["count"] == ("integer", "≥ 1", "`3`", "a number")
    assert found["pair"] == ("[number, number]", "2 items", "none", "two numbers")
    assert found["many"][0] == "list of mapping"
    assert found["by_name"][0] == "mapping from names to mapping"


def test_nested_keys_stand_below_their_address_once() -> None:
    found = rows(Whole)
    assert found["first"] == ("mapping", "", "required", "A part.")
    assert found["first.size"] == ("integer", "> 0, ≤ 9", "required", "a | b")
    assert found["second"][3] == "the other part; keys as for `first`"
    assert "second.size" not in found


def test_a_cell_cannot_break_its_table() -> None:
    line = next(line for line in str(Table(Whole.model_json_schema())).splitlines() if "`first.size`" in line)
    assert line.endswith(r"a \| b |")


def test_a_linked_model_is_not_spread_out() -> None:
    found = Table(Whole.model_json_schema(), {"Part": "[part](part.md)"}).rows()
    assert [row.key for row in found] == ["kind", "first", "second", "many", "by_name", "pair", "count"]
    assert found[1].type == "[part](part.md)"
    assert found[3].type == "list of [part](part.md)"


@pytest.mark.parametrize("model", [DatasetSpec, MethodSpec, Compute], ids=lambda model: model.__name__)
def test_every_key_of_a_spec_is_described(model: type[BaseModel]) -> None:
    assert [key for key, row in rows(model).items() if not row[3]] == []


@pytest.mark.parametrize("where", SOCKETS)
def test_every_kind_and_every_key_of_it_is_described(where: str) -> None:
    for _, kind, schema in kinds(SOCKETS[where]):
        assert schema["description"], kind
        assert [key for key, row in schema["properties"].items() if key != "kind" and not row.get("description")] == []


@pytest.mark.parametrize("path", ALGORITHMS)
def test_every_hyper_parameter_is_described(path: str) -> None:
    assert [key for key, row in rows(import_algorithm(path, Path("methods"))).items() if not row[3]] == []
