"""Commands that do not train answer without the libraries that only training needs."""

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
HEAVY = ("torch", "torchvision", "numba", "sklearn", "faiss", "streamlit")
LOADED = f"[name for name in {HEAVY} if name in sys.modules]"
COMMAND = """
import sys
from harness.cli import main
sys.argv[1:] = {arguments}
try:
    main()
finally:
    print("loaded:", {loaded})
"""


@pytest.mark.parametrize("arguments", ["list methods", "list runs --json", "list parts", "check", "--help"])
def test_a_command(arguments: str) -> None:
    assert output(COMMAND.format(arguments=arguments.split(), loaded=LOADED)).endswith("loaded: []\n")


def test_the_packages() -> None:
    code = f"import sys, harness, harness.cli, harness.store\nfrom harness.specs import *\nprint('loaded:', {LOADED})"
    assert output(code) == "loaded: []\n"


@pytest.mark.parametrize(
    "module", ["learning.backbones", "labels.clusterings", "labels.distances", "specs.compute", "specs.registry"]
)
def test_a_module_may_be_the_first_that_is_imported(module: str) -> None:
    assert output(f"import harness.{module}") == ""


def output(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
