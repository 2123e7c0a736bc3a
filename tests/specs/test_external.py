"""A method whose algorithm lies in another installed package, registered by a spec file alone."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.pipeline.code import algorithm_files, code_hash
from harness.specs import Pairing, load_method
from tests.specs.conftest import COMPUTE, Specs

ALGORITHM = '''
from pydantic import Field

from harness.learning.algorithm import Algorithm
from harness.specs.base import Frozen


class Elsewhere(Algorithm):
    class Params(Frozen):
        """Of this laboratory."""

        sharpness: float = Field(gt=0)

    def build(self): ...
    def begin_epoch(self, epoch): ...
    def step(self, batch): ...
    def export(self): ...
'''
SPEC = f"""\
name: elsewhere
title: From elsewhere
description: Another laboratory's method.
role: method
starter: false
judged_against: []
setting: usl
algorithm: otherlab.reid.elsewhere:Elsewhere
params: {{sharpness: 2}}
regimes:
  drawn:
    init: random
{COMPUTE}"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package, installed where Python looks for packages."""
    folder = tmp_path / "site-packages" / "otherlab" / "reid"
    folder.mkdir(parents=True)
    for file in (folder / "__init__.py", folder.parent / "__init__.py"):
        file.touch()
    (folder / "elsewhere.py").write_text(ALGORITHM)
    monkeypatch.syspath_prepend(tmp_path / "site-packages")
    importlib.invalidate_caches()
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "otherlab"]:
        del sys.modules[name]


def test_its_spec_registers_it(specs: Specs, package: Path) -> None:
    specs.write("methods/elsewhere.yaml", SPEC)
    assert load_method(specs.root / "methods" / "elsewhere.yaml").title == "From elsewhere"
    assert specs.load().resolved(Pairing("elsewhere", None, "spring", 0)).params == {"sharpness": 2}
    specs.plan()
    assert specs.problems() == []
    assert "elsewhere__spring__s0" in specs.load().planned


def test_its_parameters_are_checked_like_any_others(specs: Specs, package: Path) -> None:
    specs.write("methods/elsewhere.yaml", SPEC.replace("sharpness: 2", "sharpness: -2"))
    assert specs.problems() == ["methods/elsewhere.yaml:9: params.sharpness: Input should be greater than 0 (found -2)"]


def test_its_code_is_part_of_what_a_run_depends_on(specs: Specs, package: Path) -> None:
    path = "otherlab.reid.elsewhere:Elsewhere"
    specs.write("methods/elsewhere.yaml", SPEC)
    method = specs.load().resolved(Pairing("elsewhere", None, "spring", 0))
    before = code_hash(method)
    assert algorithm_files(path, specs.root) == []  # not in the project: its hash in the resolved spec stands for it
    (package / "elsewhere.py").write_text(ALGORITHM + "\n# sharper\n")
    assert code_hash(method) != before


def test_without_the_package_the_spec_says_so(specs: Specs) -> None:
    specs.write("methods/elsewhere.yaml", SPEC)
    assert specs.problems() == [
        "methods/elsewhere.yaml:8: algorithm: 'otherlab.reid.elsewhere:Elsewhere' cannot be imported: "
        "No module named 'otherlab'"
    ]
    with pytest.raises(UserError, match=r"module 'otherlab\.reid\.elsewhere' has no source file; is its package"):
        algorithm_files("otherlab.reid.elsewhere:Elsewhere", specs.root)
