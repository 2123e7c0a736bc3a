"""What the stages depend on, out of the specs, as JSON files: edits that change no number do not reach them.

Of a method the resolved spec on a task and the hashes of its code, of a dataset what can change an image. Cheap stages
write these files whenever any of the YAML or code changes. The stages that compute depend on them alone, so a new
title, citation or reported figure, or a change to another regime or task, repeats nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from harness.paths import dataset_spec_file, spec_file, write_text
from harness.pipeline.code import code_hash
from harness.specs.pairing import parse_key
from harness.specs.registry import Registry

IMAGES = {"name", "image", "layout", "drawn", "junk_ids"}
"""The keys of a dataset that drawing, reading and preparing look at."""


def write_resolved(registry: Registry, method: str, tasks: Iterable[str]) -> list[Path]:
    """Write one file per task (`<target>` or `<source>-to-<target>`) and return them.

    Raises UserError if the spec is wrong or does not fit a task.
    """
    paths = []
    for task in tasks:
        resolved = registry.resolved(parse_key(f"{method}__{task}__s0"))
        document = resolved.model_dump(mode="json") | {"code": code_hash(resolved)}
        path = spec_file(registry.root, method, task)
        write_text(path, json.dumps(document, indent=2, sort_keys=True) + "\n")
        paths.append(path)
    return paths


def write_dataset_specs(registry: Registry) -> list[Path]:
    """Write one file per valid dataset, and return them."""
    paths = []
    for name, spec in registry.datasets.items():
        path = dataset_spec_file(registry.root, name)
        write_text(path, spec.model_dump_json(include=IMAGES, indent=2) + "\n")
        paths.append(path)
    return paths
