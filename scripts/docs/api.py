"""The reference of the Python API: one page per package, which mkdocstrings fills in from the docstrings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import griffe

Thing = griffe.Object | griffe.Alias

FIRST = ("harness", "harness.evaluation", "harness.labels", "harness.data", "harness.specs", "harness.learning")
HIDDEN = {"harness.cli", "harness.start", "harness.lazy"}  # described as commands; details

INDEX = """\
# Python API

What notebooks and scripts of your own call. Wherever features are asked for, NumPy arrays and torch tensors on any
device will do. The names in this table stay; what lies below them may move between minor versions.

| import | does |
| :--- | :--- |
{names}

```python
import numpy as np
from harness.evaluation import evaluate_ranking

rng = np.random.default_rng(0)
query, gallery = rng.normal(size=(20, 64)), rng.normal(size=(200, 64))
result = evaluate_ranking(
    query, gallery,
    np.arange(20) % 10, np.arange(200) % 10,  # identities
    np.zeros(20), np.ones(200),               # cameras
)
print(f"mAP {{result.map:.3f}}, Rank-1 {{result.cmc[1]:.3f}}, mINP {{result.minp:.3f}}")
```

## Packages

| package | holds |
| :--- | :--- |
{packages}
"""


def pages(root: Path) -> dict[str, str]:
    """Return Markdown by file name: index.md, then one page for each package."""
    tree = griffe.load("harness", search_paths=[root], resolve_aliases=True)
    packages = sorted(_packages(tree), key=lambda package: (_rank(package.path), package.path))
    names = [_name(package, name) for package in packages if package.path in FIRST[:-1] for name in _exports(package)]
    rows = [f"| [`{package.path}`]({package.path}.md) | {_summary(package)} |" for package in packages]
    index = INDEX.format(names="\n".join(names), packages="\n".join(rows))
    return {"index.md": index} | {f"{package.path}.md": "\n".join(_page(package)) for package in packages}


def _page(package: Thing) -> Iterator[str]:
    yield f"# {package.path}\n\n{package.docstring.value if package.docstring else ''}\n"
    for module in sorted(package.modules.values(), key=lambda part: part.path):
        if not module.is_subpackage and not module.name.startswith("_") and module.path not in HIDDEN:
            yield f"::: {module.path}\n    options: {{heading_level: 2}}\n"


def _packages(module: Thing) -> Iterator[Thing]:
    yield module
    for part in module.modules.values():
        if part.is_subpackage:
            yield from _packages(part)


def _rank(path: str) -> int:
    return FIRST.index(path) if path in FIRST else len(FIRST)


def _exports(package: Thing) -> list[str]:
    """The functions that a package offers by name."""
    return [str(name) for name in package.exports or () if package[str(name)].is_function]


def _name(package: Thing, name: str) -> str:
    target = package[name]
    return f"| [`from {package.path} import {name}`][{target.canonical_path}] | {_summary(target)} |"


def _summary(thing: Thing) -> str:
    text = thing.docstring.value if thing.docstring else ""
    return " ".join(text.split("\n\n")[0].split())
