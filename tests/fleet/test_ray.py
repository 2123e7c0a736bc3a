"""Two machines in one: a node that is killed in the middle of a run costs time and nothing else."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.paths import run_folder
from harness.pipeline.evaluate import evaluate
from harness.pipeline.records import Metrics
from harness.pipeline.training.train import train
from harness.specs.pairing import parse_key
from tests.fleet.conftest import CLUSTERS, DIRECT, EPOCHS, START, Lab, work_of
from tests.pipeline.tiny import history, same_weights, silent

ray = pytest.importorskip("ray")


def killed_in_the_middle(lab: Lab, cluster: Any, killed: list[str], stop: threading.Event) -> None:
    """Kill the node at work on a run, with all that is there, when a state of it has reached the remote."""
    while not stop.wait(0.05):
        work = work_of(lab, CLUSTERS)
        if list(lab.remote.glob(f"fleet/*/state/{CLUSTERS}.safetensors")) and 1 < work.get("epoch", 0) < EPOCHS - 1:
            for node in cluster.worker_nodes.copy():
                raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
                below = raylet.children(recursive=True)
                if any(CLUSTERS in word for process in below for word in process.cmdline()):
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
        said = at_lab.project.run(
            "harness", "fleet", "run", CLUSTERS, DIRECT, "--address", cluster.address, "--gpus-per-run", "0",
            "--cpus-per-run", "1", "--every", "0.2", "--scratch", str(tmp_path / "scratch"),
        )  # fmt: skip
    finally:
        stop.set()
        cluster.shutdown()
    assert killed
    assert said.startswith("5 runs and datasets: ")
    assert "failed" not in said

    record = json.loads((run_folder(at_lab.root, CLUSTERS) / "record.json").read_text())
    assert record["resumed"] >= 1
    assert not (at_lab.root / "results" / "attempts").exists()  # the head has computed nothing
    assert list((tmp_path / "scratch").glob("run-*")) == []
    unchanged = at_lab.project.run("harness", "run")  # its lock files say what there is; the table alone is new
    assert unchanged == "16 stages of 3 runs: 1 done, 15 unchanged\n"

    undisturbed = tmp_path / "undisturbed"
    undisturbed.mkdir()
    for shared in ("datasets", "methods", "data"):
        (undisturbed / shared).symlink_to(at_lab.root / shared)
    registry = replace(at_lab.registry, root=undisturbed)
    for key in (START, DIRECT, CLUSTERS):
        expected, found = train(registry, parse_key(key), silent), run_folder(at_lab.root, key)
        evaluate(registry, parse_key(key))
        assert same_weights(found, expected)
        assert history(found) == history(expected)
        assert scores(found) == scores(expected)


def scores(folder: Path) -> dict[str, Any]:
    """What the metrics say but for times and what they vouch for."""
    return Metrics.model_validate_json((folder / "metrics.json").read_bytes()).model_dump(
        exclude={"seconds", "record_sha256", "queries_sha256"}
    )
