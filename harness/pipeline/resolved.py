"""The resolved spec of a method on a task and the hashes of its code, as one JSON file: what its runs depend on.

A cheap stage writes these files whenever any YAML of the method or any code of training changes. The stages of the
runs depend on the file, so a new title, citation or reported figure, or a change to another regime or task, retrains
nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from harness.paths import spec_file, write_text
from harness.pipeline.code import algorithm_hash, shared_code_hash
from harness.specs.pairing import parse_key
from harness.specs.registry import Registry


def write_resolved(registry: Registry, method: str, tasks: Iterable[str]) -> list[Path]:
    """Write one file per task (`<target>` or `<source>-to-<target>`) and return them.

    Raises UserError if the spec is wrong or does not fit a task.
    """
    paths = []
    for task in tasks:
        resolved = registry.resolved(parse_key(f"{method}__{task}__s0"))
        code = [algorithm_hash(resolved.algorithm), shared_code_hash()]
        document = resolved.model_dump(mode="json") | {"code": code}
        path = spec_file(registry.root, method, task)
        write_text(path, json.dumps(document, indent=2, sort_keys=True) + "\n")
        paths.append(path)
    return paths
