"""Reference pages of the specs: every key of datasets, methods, compute, and each algorithm's params."""

from __future__ import annotations

import inspect
from pathlib import Path

from harness.specs.compute import Compute
from harness.specs.dataset import DatasetSpec
from harness.specs.method import MethodSpec
from harness.specs.registry import Registry, import_algorithm
from scripts.docs.keys import Table

LINKS = {"Compute": "[compute](compute.md)"}

DATASETS = """\
# Keys of a dataset

`datasets/NAME.yaml`. `extends` names another dataset, whose keys apply where this one states none. Every key is checked
when the spec is read; an error names the file, the line and the nearest valid key.
"""
METHODS = """\
# Keys of a method

`methods/NAME.yaml`. `extends` names another method, whose keys apply where this one states none: mappings are merged
key by key, all else is replaced. The keys of `params` are the algorithm's own: see [algorithms](algorithms.md).
"""
COMPUTE = """\
# Keys of compute

How much compute a run gets, and on what network: `regimes.NAME.compute` of a method, complete after `extends`, and
adjusted by `regimes.NAME.targets.TARGET.compute`.
"""
ALGORITHMS = """\
# Algorithms and their params

`algorithm` of a method names a class; `params` holds the keys of its `Params`. They have no defaults: what a spec (or
what it extends) does not state is an error, so that a record states all of them.
"""


def pages(root: Path) -> dict[str, str]:
    """Return Markdown by file name."""
    return {
        "datasets.md": f"{DATASETS}\n{Table(DatasetSpec.model_json_schema())}\n",
        "methods.md": f"{METHODS}\n{Table(MethodSpec.model_json_schema(), LINKS)}\n",
        "compute.md": f"{COMPUTE}\n{Table(Compute.model_json_schema())}\n",
        "algorithms.md": f"{ALGORITHMS}\n{_algorithms(Registry.load(root).checked())}",
    }


def _algorithms(registry: Registry) -> str:
    users: dict[str, list[str]] = {}
    for name, method in registry.methods.items():
        users.setdefault(method.algorithm, []).append(name)
    sections = []
    for path, methods in sorted(users.items()):
        params = import_algorithm(path, registry.spec_files(methods[0])[0])
        module = inspect.getmodule(params)
        about = (inspect.getdoc(module) or "").split("\n\n")[0] if module else ""
        used = ", ".join(f"`{method}`" for method in sorted(methods))
        table = Table(params.model_json_schema(), heading="###")
        title = path.split(":")[1]
        sections.append(f"## {title}\n\n{about}\n\n`{path}`, used by {used}.\n\n{table}\n")
    return "\n".join(sections)
