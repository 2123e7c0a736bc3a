"""The examples of docstrings: each is run, and gives what it says."""

from __future__ import annotations

import doctest
import importlib
import shutil
from pathlib import Path

import pytest

from harness.commands.calibrate import calibrate_run
from tests.pipeline.conftest import tiny
from tests.use.conftest import pictures, run, trained

__all__ = ["pictures", "run", "tiny", "trained"]

PROJECT = Path(__file__).parents[1]
LOAD = "harness.use.model"
"""Its example needs a run."""
MODULES = [
    ".".join(path.relative_to(PROJECT).with_suffix("").parts)
    for folder in ("harness", "methods")
    for path in sorted((PROJECT / folder).rglob("*.py"))
    if any(">>> " in line and "+SKIP" not in line for line in path.read_text(encoding="utf-8").splitlines())
]


def examples(module: str) -> doctest.TestResults:
    return doctest.testmod(importlib.import_module(module))


@pytest.mark.parametrize("module", [name for name in MODULES if name != LOAD])
def test_an_example_gives_what_it_says(module: str) -> None:
    found = examples(module)
    assert found.failed == 0
    assert found.attempted


def test_a_run_is_loaded_and_used_as_the_example_says(
    run: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run.parents[2])
    for name in ("anna.png", "who.png"):
        shutil.copy2(pictures / "000.png", name)
    list(calibrate_run(run.name, None, "drawn-summer"))
    found = examples(LOAD)
    assert found.failed == 0
    assert found.attempted == 5
