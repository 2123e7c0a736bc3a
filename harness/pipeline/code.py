"""Which code computes a number: hashes of what is imported, the files of a method, and the version in git."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

import harness
from harness.errors import UserError
from harness.paths import CODE_HASHES, write_text
from harness.specs.registry import import_algorithm

if TYPE_CHECKING:
    from harness.specs.method import ResolvedMethod

SHARED = (
    "harness/learning",
    "harness/labels",
    "harness/evaluation",
    "harness/matrix.py",
    "harness/data/prepared.py",
    "harness/pipeline/training",
)
"""Code that training can import, besides the method's own file."""
EVALUATING = "harness.pipeline.evaluate"
"""A dependency of the stages that evaluate, by its name, so a change to it trains nothing anew."""
ENTRIES = ("harness.pipeline.training.train", EVALUATING)
"""The modules that compute a run's numbers, whatever the method."""
TABLES = frozenset({"harness.labels.clusterings", "harness.labels.distances", "harness.learning.backbones"})
"""Packages with one file a kind: a run depends on those that it uses."""
_SHARED = tuple(place.removesuffix(".py") for place in SHARED)
RESOLVING = "harness/specs"
"""Code that says what a method computes; with `SHARED`, the dependencies of `code` in `dvc.yaml`."""
ALL = ("methods", "datasets", RESOLVING, "harness/drawn", "harness/data", *SHARED, "harness/pipeline/evaluate.py")
"""Everything that can change a number."""
HOME = Path(harness.__file__).parents[1]
"""Where the imported `harness` lies: what is hashed is what runs, wherever the project's root is."""


def code_hash(method: ResolvedMethod) -> str:
    """Return the SHA-256 (16 hex digits) of all source files that a run of `method` imports to compute its numbers."""
    return _digest({name: path.read_bytes() for name, path in run_sources(method).items()})


def run_sources(method: ResolvedMethod) -> dict[str, Path]:
    """Return the modules that can change a number of a run, with their files.

    These are the algorithm's, those that train and evaluate, those of the kinds that fill its sockets, and of what
    they import the modules of `SHARED` and `methods`. So a new kind, or a part that other methods use, repeats nothing.
    """
    params = import_algorithm(method.algorithm, Path(f"{method.name}.yaml")).model_validate(method.params)
    kinds = {type(part).__module__ for model in (method.compute, params) for part in _parts(model)}
    found = _closure([method.algorithm.split(":")[0], *ENTRIES, *filter(_counts, kinds)])
    del found[EVALUATING]
    return found


def algorithm_files(import_path: str, root: Path) -> list[Path]:
    """Return the files under `root`, relative to it, that hold the algorithm; none if it is an installed package's."""
    here, own = root.resolve(), import_path.split(":")[0]
    found = {name: path for name, path in _closure([own]).items() if name == own or name.startswith("methods.")}
    files = [path.resolve() for path in found.values()]
    return [path.relative_to(here) for path in files if path.is_relative_to(here) and ".venv" not in path.parts]


def _parts(model: BaseModel) -> Iterator[BaseModel]:
    """Yield the model and every model in it."""
    yield model
    pending = [getattr(model, name) for name in type(model).model_fields]
    while pending:
        value = pending.pop()
        if isinstance(value, BaseModel):
            yield from _parts(value)
        elif isinstance(value, Mapping):
            pending += value.values()
        elif isinstance(value, tuple | list):
            pending += value


def _closure(modules: Iterable[str]) -> dict[str, Path]:
    """Return these modules and what they import, directly or not, as far as it counts, with their files."""
    pending, found = list(modules), {}
    while pending:
        name = pending.pop()
        if name not in found:
            found[name] = _source_of(name)
            pending += filter(_counts, _imports(name, found[name]))
    return found


def _counts(module: str) -> bool:
    place = module.replace(".", "/")
    return module.startswith("methods.") or (
        module not in TABLES and any(place == one or place.startswith(f"{one}/") for one in _SHARED)
    )


def _imports(module: str, path: Path) -> Iterator[str]:
    """Yield the modules that `module` imports; of a package that passes names on, those that the names come from."""
    for node in _run(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield from _home(node.module, alias.name)


def _home(module: str, name: str) -> Iterable[str]:
    """Return the modules that `from module import name` draws in, and all that a whole package passes on."""
    if not module.startswith(("harness", "methods")):
        return []
    if _is_module(module, name):
        inner = f"{module}.{name}"
        return [inner, *_passed_on(inner).values()]
    return [_passed_on(module).get(name, module)]


@cache
def _passed_on(package: str) -> dict[str, str]:
    """Return the names that a package's `__init__.py` takes from other modules, those of its lazy table included."""
    path = _source_of(package)
    if path.name != "__init__.py":
        return {}
    return {
        alias.asname or alias.name: f"{package}.{alias.name}" if node.module == package else node.module
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }


def _run(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a module but for those that only a type checker reads."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        yield node
        yield from _run(node)


def write_code_hashes(root: Path) -> Path:
    """Write the SHA-256 (16 hex digits) of each file of the code that all runs share to `results/code.json`."""
    files = _python_files((RESOLVING, *SHARED))
    path = root / CODE_HASHES
    write_text(path, json.dumps({name: _digest({name: files[name]}) for name in sorted(files)}, indent=2) + "\n")
    return path


def code_version(root: Path) -> str:
    """Return the git commit of the imported code, or the package's version if it lies outside project `root` or git.

    A '+' follows if a spec or code that can change a number differs from the commit; pages and store cannot.
    """
    try:
        if HOME.resolve() != root.resolve():
            return harness.__version__
        commit = _git("rev-parse", "--short=12", "HEAD")
        return commit + ("+" if _git("status", "--porcelain", "--untracked-files=no", "--", *ALL) else "")
    except (OSError, subprocess.CalledProcessError):
        return harness.__version__


def _git(*arguments: str) -> str:
    command = ["git", *arguments]  # found by name: where it lies differs between systems
    return subprocess.run(command, cwd=HOME, capture_output=True, text=True, check=True).stdout.strip()


def _python_files(places: Iterable[str]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for place in places:
        path = HOME / place
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            files[file.relative_to(HOME).as_posix()] = file.read_bytes()
    return files


def _digest(files: dict[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(name.encode() + b"\0" + files[name] + b"\0")
    return digest.hexdigest()[:16]


def _is_module(package: str, name: str) -> bool:
    """Whether the package has a module of this name; asked of its folder, for to find one by import is to load all."""
    path = _source_of(package)
    inner = path.parent / name
    return path.name == "__init__.py" and (inner.with_suffix(".py").is_file() or (inner / "__init__.py").is_file())


def _source_of(module: str) -> Path:
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        found = None
    if found is None or found.origin is None:
        raise UserError(f"algorithm: module {module!r} has no source file; is its package installed?")
    return Path(found.origin)
