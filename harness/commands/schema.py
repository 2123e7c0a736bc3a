"""JSON Schemas of the specs, so that editors complete and check the YAML."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from harness.specs.dataset import DatasetSpec
from harness.specs.method import MethodSpec
from harness.specs.registry import Registry, import_algorithm


def write_schemas(registry: Registry, folder: Path) -> list[Path]:
    """Write dataset.schema.json, method.schema.json and one schema of `params` per algorithm; return the paths."""
    schemas = {"dataset": _open_to_extends(DatasetSpec), "method": _open_to_extends(MethodSpec)}
    for name, spec in registry.checked().methods.items():
        params = import_algorithm(spec.algorithm, registry.spec_files(name)[0])
        schemas[f"params-{spec.algorithm.split(':')[1]}"] = params.model_json_schema()
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, schema in schemas.items():
        path = folder / f"{name}.schema.json"
        path.write_text(json.dumps(schema, indent=2) + "\n", encoding="utf-8")
        paths.append(path)
    return paths


def _open_to_extends(model: type[BaseModel]) -> dict[str, Any]:
    """A spec states only what differs from what it extends, so an editor must not ask for the rest, at any depth.

    Of `compute` every spec states only what differs from its regime's base, which may be nothing.
    """
    whole, part = model.model_json_schema(), model.model_json_schema(ref_template="#/$defs/part-{model}")
    definitions = whole.pop("$defs") | {f"part-{name}": _optional(value) for name, value in part.pop("$defs").items()}
    if "Compute" in definitions:
        definitions["Compute"] = definitions["part-Compute"]
        definitions["RegimeSection"]["required"].remove("compute")
    return {
        "$defs": definitions,
        "if": {"required": ["extends"]},
        "then": _optional(part) | {"required": ["name"]},
        "else": whole,
    }


def _optional(schema: Any) -> Any:
    """Return a schema that requires no key, so that several alternatives may fit at once."""
    if isinstance(schema, list):
        return [_optional(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "oneOf" in schema:
        alternatives = {key: value for key, value in schema.items() if key not in ("oneOf", "discriminator")}
        schema = alternatives | {"anyOf": schema["oneOf"]}
    named = schema.get("properties")  # a property may itself be called "required"
    rest = {key: _optional(value) for key, value in schema.items() if key not in ("required", "properties")}
    return rest | ({"properties": {key: _optional(value) for key, value in named.items()}} if named else {})
