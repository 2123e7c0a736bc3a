"""One run on two devices (two processes, gloo) is the run on one device with two groups, up to rounding."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.learning import ranks
from harness.paths import run_folder
from harness.pipeline.training.train import train
from tests.learning.parts import compute, network
from tests.pipeline.tiny import PROJECT, Tiny, draw, history, read, silent, weights, write, write_specs

METHODS = ("cluster-contrast", "spcl-uda", "sskd", "mmt", "supervised", "adabn")
STARTS = ("generic", "source-baseline", "sskd-source", "mmt-source")
EXACT = {"clusters", "outliers", "ari"}


@pytest.fixture(scope="module")
def grouped(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A tiny project with two BatchNorm groups, and one epoch of few iterations: rounding has no time to grow."""
    root = tmp_path_factory.mktemp("grouped")
    write_specs(root, (*METHODS, *STARTS))
    for path in (root / "methods").glob("*.yaml"):
        spec = read(path)
        spec["regimes"]["drawn"]["compute"] |= {"epochs": 1, "batch": {"identities": 8, "instances": 2}}
        spec["regimes"]["drawn"]["compute"]["network"]["bn_groups"] = 2
        write(path, spec)
    (root / "dvc.yaml").touch()
    draw(root)
    return Tiny.at(root)


def test_two_devices_do_what_one_does(grouped: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_DEVICE", "cpu")
    pairings = [grouped.pairing(method) for method in METHODS]
    alone = {}
    for pairing in pairings:
        folder = grouped.trained(pairing)
        alone[pairing.key] = weights(folder), history(folder)
        (folder / "record.json").unlink()
    command = [sys.executable, "-m", "tests.pipeline.two", *alone]
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "HARNESS_DEVICE": "cpu"}
    done = subprocess.run(
        command, cwd=grouped.root, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    for key, (expected, rows) in alone.items():
        folder = run_folder(grouped.root, key)
        record = json.loads((folder / "record.json").read_text())
        assert record["hardware"]["device"].startswith("2 × cpu")
        assert (record["bn_groups"], record["spec"]["compute"]["network"]["bn_groups"]) == (2, 2)
        found = weights(folder)
        assert found.keys() == expected.keys()
        off = {name: float((found[name].double() - expected[name].double()).abs().max()) for name in found}
        assert max(off.values()) < TOLERANCE, (key, max(off, key=lambda name: off[name]), max(off.values()))
        for row, same in zip(history(folder), rows, strict=True):
            assert [row[name] for name in EXACT] == [same[name] for name in EXACT]
            for name in row:
                if name.startswith("loss") and row[name]:
                    assert float(row[name]) == pytest.approx(float(same[name]), rel=1e-4, abs=1e-5), (key, name)


TOLERANCE = 2e-3
"""Of a weight after a few steps of Adam, which divides by gradients that are all but rounding."""


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": network(bn_groups=1)}, "BatchNorm sees the batch in 1 groups .* cannot be spread over 2 devices"),
        ({"network": network(bn_groups=6)}, "a batch of 16 is not 6 equal groups"),
    ],
)
def test_a_run_whose_result_would_be_another_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        ranks.check(compute(**changes), 2)
    ranks.check(compute(network=network(bn_groups=4)), 2)


def test_it_is_refused_before_anything_starts(tiny: Tiny, tmp_path: Path) -> None:
    pairing = tiny.pairing("supervised")
    project = tiny.fresh(tmp_path / "fresh", pairing)
    with pytest.raises(UserError, match="--devices 3: BatchNorm"):
        train(project.registry, pairing, silent, devices=3)
    assert ranks.count() == 1
