"""Two machines in one: a node that is killed in the middle of a run costs time and nothing else."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.fleet.conftest import ADABN, DIRECT, EPOCHS, START, Lab

ray = pytest.importorskip("ray")
KEYS = (START, DIRECT, ADABN)


def killed_in_the_middle(lab: Lab, cluster: Any, killed: list[str], stop: threading.Event) -> None:
    """Kill the node at work on the start, with all that runs there, when a state of it has reached the remote."""
    while not stop.wait(0.05):
        for path in lab.remote.glob(f"fleet/*/work/{START}.json"):
            work = json.loads(path.read_text())
            if list(lab.remote.glob("fleet/*/state/*.safetensors")) and 1 < work["epoch"] < EPOCHS - 1:
                for node in cluster.worker_nodes.copy():
                    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
                    below = raylet.children(recursive=True)
                    if any(START in word for process in below for word in process.cmdline()):
                        for process in below:  # the task before what it has started: it must not report a failure
                            with suppress(psutil.NoSuchProcess):
                                process.kill()
                        cluster.remove_node(node, allow_graceful=False)
                        killed.append(f"in epoch {work['epoch']}")
                        return


def test_a_node_killed_in_the_middle_of_a_run_changes_nothing(
    at_lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    small: dict[str, Any] = {"include_dashboard": False, "object_store_memory": 80 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **small})
    stop = threading.Event()
    killed: list[str] = []
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1, **small)
        cluster.wait_for_nodes()
        killer = threading.Thread(target=killed_in_the_middle, args=(at_lab, cluster, killed, stop), daemon=True)
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
