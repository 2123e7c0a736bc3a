"""Which code computes a number: hashes of what is imported, the files of a method, and the version in git."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import subprocess
from collections.abc import Iterable
from pathlib import Path

import harness
from harness.errors import UserError
from harness.paths import CODE_HASHES, write_text

SHARED = (
    "harness/learning",
    "harness/labels",
    "harness/evaluation",
    "harness/matrix.py",
    "harness/data/prepared.py",
    "harness/pipeline/training",
)
"""Code of every training run, besides the method's own file."""
RESOLVING = "harness/specs"
"""Code that says what a method computes; with `SHARED`, the dependencies of `code` in `dvc.yaml`."""
ALL = ("methods", "datasets", RESOLVING, "harness/drawn", "harness/data", *SHARED, "harness/pipeline/evaluate.py")
"""Everything that can change a number."""
HOME = Path(harness.__file__).parents[1]
"""Where the imported `harness` lies: what is hashed is what runs, wherever the project's root is."""


def algorithm_hash(import_path: str) -> str:
    """Return the SHA-256 (16 hex digits) of an algorithm's source file and of the `methods.*` files it imports."""
    return _digest({name: path.read_bytes() for name, path in _sources(import_path).items()})


def algorithm_files(import_path: str, root: Path) -> list[Path]:
    """Return the files under `root`, relative to it, that hold the algorithm; none if it is an installed package's."""
    here = root.resolve()
    files = [path.resolve() for path in _sources(import_path).values()]
    return [path.relative_to(here) for path in files if path.is_relative_to(here) and ".venv" not in path.parts]


def _sources(import_path: str) -> dict[str, Path]:
    """Return the algorithm's module and every `methods.*` module it imports, with their files."""
    pending, found = [import_path.split(":")[0]], {}
    while pending:
        name = pending.pop()
        if name not in found:
            found[name] = _source_of(name)
            pending += _methods_imported_by(found[name].read_bytes())
    return found


def shared_code_hash() -> str:
    """Return the SHA-256 (16 hex digits) of the shared training code that is imported."""
    return _digest(_python_files(SHARED))


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
    return subprocess.run(["git", *arguments], cwd=HOME, capture_output=True, text=True, check=True).stdout.strip()


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


def _source_of(module: str) -> Path:
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        found = None
    if found is None or found.origin is None:
        raise UserError(f"algorithm: module {module!r} has no source file; is its package installed?")
    return Path(found.origin)


def _methods_imported_by(source: bytes) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("methods."):
            names.append(node.module)
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names if alias.name.startswith("methods.")]
    return names
