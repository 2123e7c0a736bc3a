"""The documentation site builds without a warning, is complete, loads nothing from elsewhere, and shows what works."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import typer.main
from scipy.sparse import csr_matrix

from harness.cli import app
from harness.labels.distances.base import Distances
from harness.learning.algorithm import Algorithm
from harness.specs import Registry, load_dataset
from scripts.docs import api
from scripts.docs.specs import pages

ROOT = Path(__file__).parents[2]
PROSE = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(
        path
        for path in (ROOT / "docs").rglob("*.md")
        if path.name not in ("results.md", "performance.md", "statistics.md")
    ),
]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LOADED = re.compile(r"""<(?:script|img|link|iframe)\b[^>]*?\b(?:src|href)=["']?((?:https?:)?//[^"'\s>]+)""")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=quiet)
    assert (result.returncode, result.stdout + result.stderr) == (0, "")
    return folder


def commands(command: Any, name: str = "harness") -> Iterator[tuple[str, Any]]:
    if not getattr(command, "commands", None):
        yield name, command
    for part, below in (getattr(command, "commands", None) or {}).items():
        yield from commands(below, f"{name} {part}")


def blocks(path: Path, language: str) -> list[str]:
    return [body for kind, body in BLOCK.findall(path.read_text(encoding="utf-8")) if kind == language]


def executed(page: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the page's one block of Python as a module."""
    (code,) = blocks(ROOT / "docs" / page, "python")
    module = ModuleType("from_the_page")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(code, page, "exec"), vars(module))  # our own text
    return module


def test_every_command_and_every_page_is_there(site: Path) -> None:
    reference = (site / "reference" / "commands.html").read_text(encoding="utf-8")
    for name, command in commands(typer.main.get_command(app)):
        assert command.hidden or f">{name}<" in reference, name
    for path in PROSE[2:]:
        assert (site / path.relative_to(ROOT / "docs").with_suffix(".html")).exists(), path


def test_every_package_and_every_algorithm_is_there(site: Path) -> None:
    for package in (ROOT / "harness").rglob("__init__.py"):
        name = ".".join(package.parent.relative_to(ROOT).parts)
        assert (site / "reference" / "api" / f"{name}.html").exists(), name
    api = (site / "reference" / "api" / "harness.evaluation.html").read_text(encoding="utf-8")
    assert 'id="harness.evaluation.ranking.evaluate_ranking"' in api
    algorithms = pages(ROOT)["algorithms.md"]
    for method in Registry.load(ROOT).checked().methods.values():
        assert f"`{method.algorithm}`" in algorithms


def test_nothing_is_loaded_from_another_host(site: Path) -> None:
    found = {address for page in site.rglob("*.html") for address in LOADED.findall(page.read_text(encoding="utf-8"))}
    assert found == set()


def harness_lines() -> Iterator[tuple[str, str]]:
    for path in PROSE:
        for block in blocks(path, "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                if line.startswith("harness "):
                    yield path.name, line.split("#")[0].strip()


@pytest.mark.parametrize(("page", "line"), list(harness_lines()))
def test_commands_in_the_prose_exist_with_their_options(page: str, line: str) -> None:
    known = dict(commands(typer.main.get_command(app)))
    words = line.split()
    name = next((n for n in (" ".join(words[:3]), " ".join(words[:2])) if n in known), None)
    assert name, f"{page}: no such command: {line}"
    known[name].make_context(name, words[len(name.split()) :])  # raises on an unknown option or a missing argument


def test_the_tutorials_dataset_is_valid(tmp_path: Path) -> None:
    text = next(block for block in blocks(ROOT / "docs" / "tutorial.md", "yaml") if block.startswith("name:"))
    path = tmp_path / "datasets" / "my-cameras.yaml"
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    assert load_dataset(path).regime == "drawn"


def test_the_tutorials_algorithm_has_the_hyper_parameter_that_its_spec_states(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = executed("tutorial.md", monkeypatch).Mine
    assert issubclass(mine, Algorithm)
    own = set(mine.Params.model_fields) - set(mine.__mro__[1].Params.model_fields)
    stated = re.search(
        r"^params: \{(\w+): [\d.]+\}$", (ROOT / "docs" / "tutorial.md").read_text().split("## 3")[1], re.M
    )
    assert stated and own == {stated[1]}


def test_the_guides_part_is_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    near = csr_matrix(np.array([[0, 0, 0.1, 0], [0, 0, 0, 0], [0.1, 0, 0, 0], [0, 0, 0, 0]], np.float32))
    kind = executed("guides/add-a-part.md", monkeypatch).Components(kind="components", radius=0.5)
    assert kind.cluster(Distances(4, lambda reach: near), {}).tolist() == [0, -1, 0, -1]


def test_python_in_the_reference_runs() -> None:
    code = re.search(r"```python\n(.*?)```", api.pages(ROOT)["index.md"], re.DOTALL)
    assert code
    assert re.match(r"mAP 0\.\d{3}, Rank-1 0\.\d{3}, mINP 0\.\d{3}", output(code[1]))


def test_python_in_the_guide_to_comparisons_runs() -> None:
    (code,) = blocks(ROOT / "docs" / "guides" / "compare.md", "python")
    assert output(code).endswith(": better\n")


def output(code: str) -> str:
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout
