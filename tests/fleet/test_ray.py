"""Two machines in one: a node that is killed in the middle of a run costs time and nothing else."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.commands.fleet import run
from harness.paths import run_folder
from harness.pipeline.training.train import train
from harness.specs.pairing import parse_key
from harness.specs.registry import Registry
from tests.fleet.conftest import ADABN, DIRECT, EPOCHS, START, Lab
from tests.pipeline.tiny import history, same_weights, silent

ray = pytest.importorskip("ray")
KEYS = (START, DIRECT, ADABN)


def killed_in_the_middle(lab: Lab, cluster: Any, node: Any, stop: threading.Event) -> None:
    """Kill the node at work on the start, with all that runs there, when a state of it has reached the remote."""
    while not stop.wait(0.05):
        states = list(lab.remote.glob("fleet/*/state/*.safetensors"))
        for path in lab.remote.glob(f"fleet/*/work/{START}.json"):
            document = json.loads(path.read_text())
            if states and 1 < document["epoch"] < EPOCHS - 1 and document["status"] == "running":
                me = psutil.Process()
                doomed = [p for p in me.children(recursive=True) if "fleet" in (line := p.cmdline()) and "work" in line]
                doomed = [one for p in doomed for one in (p, *p.children(recursive=True))]
                for process in doomed:
                    process.send_signal(signal.SIGKILL)
                cluster.remove_node(node, allow_graceful=False)
                cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)
                return


def test_a_node_killed_in_the_middle_of_a_run_changes_nothing(
    at_lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "include_dashboard": False, "object_store_memory": 80 * 2**20},
    )
    stop = threading.Event()
    try:
        doomed = cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)
        cluster.wait_for_nodes()
        killer = threading.Thread(target=killed_in_the_middle, args=(at_lab, cluster, doomed, stop), daemon=True)
        killer.start()
        done = at_lab.project.attempt(
            "harness", "fleet", "run", "--address", cluster.address, "--gpus-per-run", "0", "--cpus-per-run", "1",
            "--every", "0.2", "--scratch", str(tmp_path / "scratch"),
        )  # fmt: skip
        stop.set()
        killer.join()
    finally:
        stop.set()
        cluster.shutdown()
    print(done.stdout, done.stderr)
    assert 0
