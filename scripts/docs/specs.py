"""Reference pages of the specs: every key of datasets, methods, compute, and each algorithm's params."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from harness.commands.list_parts import SOCKETS
from harness.specs.compute import Compute
from harness.specs.dataset import DatasetSpec
from harness.specs.method import MethodSpec
from harness.specs.registry import Registry, import_algorithm
from scripts.docs.keys import Table

COMPUTE_SOCKETS = {where: socket for where, socket in SOCKETS.items() if where.startswith("compute.")}
LABEL_SOCKETS = {where: socket for where, socket in SOCKETS.items() if where.startswith("params.")}

DATASETS = """\
# Keys of a dataset

`datasets/NAME.yaml`. `extends` names another dataset, whose keys apply where this one states none. Every key is checked
when the spec is read; an error names the file, the line and the nearest valid key.
"""
METHODS = """\
# Keys of a method

`methods/NAME.yaml`. `extends` names another method, whose keys apply where this one states none: mappings are merged
key by key (one whose `kind` differs replaces the other), all else is replaced. The keys of `params` are the algorithm's
own: see [algorithms](algorithms.md).
"""
COMPUTE = """\
# Keys of compute

How much compute a run gets, and on what network. What all methods of a regime share stands in
`methods/regimes/REGIME.yaml`; a method states only what differs, in `regimes.REGIME.compute`, or for one target in
`regimes.REGIME.targets.TARGET.compute`. A record states all of it.
"""
PARTS = """\
# Parts

A part fills a socket of a spec. `kind` names it; the other keys are its own. In a spec that extends another, a mapping
whose `kind` differs replaces the other's instead of being merged with it. How to write one:
[add a part](../guides/add-a-part.md).
"""
ALGORITHMS = """\
# Algorithms and their params

`algorithm` of a method names a class; `params` holds the keys of its `Params`. They have no defaults: what a spec (or
what it extends) does not state is an error, so that a record states all of them.
"""


def pages(root: Path) -> dict[str, str]:
    """Return Markdown by file name."""
    compute, labels = links(COMPUTE_SOCKETS), links(LABEL_SOCKETS)
    return {
        "datasets.md": f"{DATASETS}\n{Table(DatasetSpec.model_json_schema())}\n",
        "methods.md": f"{METHODS}\n{Table(MethodSpec.model_json_schema(), {'Compute': '[compute](compute.md)'})}\n",
        "compute.md": f"{COMPUTE}\n{Table(Compute.model_json_schema(), compute)}\n",
        "parts.md": "\n".join([PARTS, *_parts(SOCKETS)]),
        "algorithms.md": f"{ALGORITHMS}\n{_algorithms(Registry.load(root).checked(), labels)}",
    }


def kinds(socket: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the kinds of a socket: the name of the model, that of the kind, and the JSON Schema."""
    schema = TypeAdapter(socket).json_schema()
    for name, model in (schema.get("$defs") or {schema["title"]: schema}).items():
        if "kind" in model["properties"]:
            yield name, model["properties"]["kind"]["const"], model


def links(sockets: Mapping[str, Any]) -> dict[str, str]:
    """Return a link to each kind of these sockets, by the name of its model."""
    return {
        name: f"[`{kind}`](parts.md#{_anchor(where, kind)})"
        for where, socket in sockets.items()
        for name, kind, _ in kinds(socket)
    }


def _anchor(where: str, kind: str) -> str:
    return f"{where.rsplit('.', 1)[-1]}-{kind}"


def _parts(sockets: Mapping[str, Any]) -> Iterator[str]:
    for where, socket in sockets.items():
        yield f"## `{where}`\n"
        for _, kind, schema in kinds(socket):
            about = inspect.cleandoc(schema.get("description", ""))
            own = {key: value for key, value in schema["properties"].items() if key != "kind"}
            table = Table({**schema, "properties": own}, heading="####")
            yield f"### `{kind}` {{ #{_anchor(where, kind)} }}\n\n{about}\n\n{table}\n"


def _algorithms(registry: Registry, parts: Mapping[str, str]) -> str:
    users: dict[str, list[str]] = {}
    for name, method in registry.methods.items():
        users.setdefault(method.algorithm, []).append(name)
    sections = []
    for path, methods in sorted(users.items()):
        params = import_algorithm(path, registry.spec_files(methods[0])[0])
        module = inspect.getmodule(params)
        about = (inspect.getdoc(module) or "").split("\n\n")[0] if module else ""
        used = ", ".join(f"`{method}`" for method in sorted(methods))
        table = Table(params.model_json_schema(), parts, heading="###")
        title = path.split(":")[1]
        sections.append(f"## {title}\n\n{about}\n\n`{path}`, used by {used}.\n\n{table}\n")
    return "\n".join(sections)
