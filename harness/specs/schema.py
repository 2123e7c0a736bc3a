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
    models: dict[str, type[BaseModel]] = {"dataset": DatasetSpec, "method": MethodSpec}
    for name, spec in registry.checked().methods.items():
        class_name = spec.algorithm.split(":")[1]
        models[f"params-{class_name}"] = import_algorithm(spec.algorithm, registry.spec_files(name)[0])
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, model in models.items():
        path = folder / f"{name}.schema.json"
        path.write_text(json.dumps(_open_to_extends(name, model), indent=2) + "\n", encoding="utf-8")
        paths.append(path)
    return paths


def _open_to_extends(name: str, model: type[BaseModel]) -> dict[str, Any]:
    """A spec that extends another states only what differs, so an editor must not ask for the rest."""
    schema = model.model_json_schema()
    if name in ("dataset", "method"):
        schema["if"], schema["else"] = {"required": ["extends"]}, {"required": schema.pop("required")}
        schema["required"] = ["name"]
    return schema
