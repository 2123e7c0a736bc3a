"""What a run's code hash covers: all that it imports to compute a number, and nothing that it does not use."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.pipeline.code import SHARED, TABLES, run_sources
from harness.specs import Registry
from harness.specs.method import ResolvedMethod
from harness.specs.pairing import parse_key
from tests.pipeline.tiny import PROJECT

RUNS = [
    "cluster-contrast__drawn-summer__s0",
    "cluster-contrast-hdbscan__drawn-summer__s0",
    "spcl-uda__drawn-winter-to-drawn-summer__s0",
    "sskd__drawn-winter-to-drawn-summer__s0",
    "adabn__drawn-winter-to-drawn-summer__s0",
]
LOADED = """
import importlib, json, sys
from pathlib import Path
from harness.specs import Registry
from harness.specs.pairing import parse_key
method = Registry.load(Path(sys.argv[1])).resolved(parse_key(sys.argv[2]))
module, _, name = method.algorithm.partition(":")
importlib.import_module("harness.pipeline.training.train")
importlib.import_module("harness.pipeline.evaluate")
importlib.import_module(module)
print(json.dumps([name for name in sys.modules if name.startswith(("harness.", "methods."))]))
"""


def resolved(key: str) -> ResolvedMethod:
    return Registry.load(PROJECT).resolved(parse_key(key))


@pytest.mark.parametrize("key", RUNS)
def test_what_a_run_loads_is_hashed(key: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED, str(PROJECT), key], capture_output=True, text=True, check=True, cwd=PROJECT
    )
    places = tuple(place.removesuffix(".py").replace("/", ".") for place in SHARED)
    hashed = run_sources(resolved(key))
    left = {
        name
        for name in json.loads(done.stdout)
        if name.startswith((*places, "methods.")) and name not in hashed and not _is_package(name)
    }
    # The tables of kinds load every kind.
    assert {name for name in left if name.rpartition(".")[0] not in TABLES} == set()


def _is_package(module: str) -> bool:
    return (PROJECT / module.replace(".", "/") / "__init__.py").exists()


@pytest.mark.parametrize(
    ("key", "used", "unused"),
    [
        (RUNS[0], "harness.labels.clusterings.dbscan", "harness.labels.clusterings.hdbscan"),
        (RUNS[1], "harness.labels.clusterings.hdbscan", "harness.labels.clusterings.infomap"),
        (RUNS[2], "harness.labels.reliability", "harness.learning.backbones.resnet"),
        (RUNS[3], "methods.peers", "methods.spcl"),
        (RUNS[4], "harness.learning.backbones.narrow", "harness.labels.distances.jaccard"),
    ],
)
def test_a_kind_counts_where_it_is_used(key: str, used: str, unused: str) -> None:
    hashed = run_sources(resolved(key))
    assert used in hashed
    assert unused not in hashed
    assert all(path.suffix == ".py" and Path(path).is_file() for path in hashed.values())
