"""Two machines in one: Ctrl-C at the head, and a node killed in the middle of a run, cost time and nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.fleet.head import THREADS
from harness.paths import run_folder
from harness.pipeline.records import Metrics
from tests.fleet.conftest import CLUSTERS, EPOCHS, Lab, is_amid, work_of
from tests.pipeline.tiny import history, same_weights

ray = pytest.importorskip("ray")

TRAIN = """
import sys
from dataclasses import replace
from pathlib import Path
from harness.pipeline.evaluate import evaluate
from harness.pipeline.training.train import train
from harness.specs.pairing import parse_key
from harness.specs.registry import Registry
registry = replace(Registry.load(Path(sys.argv[1])).checked(), root=Path(sys.argv[2]))
train(registry, parse_key(sys.argv[3]), lambda line: None)
evaluate(registry, parse_key(sys.argv[3]))
"""
"""A run in a process of its own: how many threads linear algebra has is decided when that is loaded."""


def killed_in_the_middle(lab: Lab, cluster: Any, killed: list[str], stop: threading.Event) -> None:
    """Kill the node at work on a run, with all that is there, when a state of it has reached the remote."""
    while not stop.wait(0.05):
        work = work_of(lab, CLUSTERS)
        if states(lab) and work["status"] == "running" and 1 < work["epoch"] < EPOCHS - 1:
            for node in cluster.worker_nodes.copy():
                raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
                below = raylet.children(recursive=True)
                if any(CLUSTERS in line for line in map(command_line, below)):
                    for process in below:  # the task before what it has started: it must not report a failure
                        with suppress(psutil.NoSuchProcess):
                            process.kill()
                    cluster.remove_node(node, allow_graceful=False)
                    killed.append(f"in epoch {work['epoch']}")
                    return


def states(lab: Lab) -> list[Path]:
    """The run's saved states on the remote."""
    return list(lab.remote.glob(f"fleet/*/state/{CLUSTERS}.safetensors"))


def interrupted_in_the_middle(lab: Lab, command: Sequence[str]) -> str:
    """Start a head and press Ctrl-C when a state of the run has reached the remote; return what it said."""
    head = lab.started(*command)
    while not (states(lab) and is_amid(lab, CLUSTERS)):
        assert head.poll() is None, head.communicate()
        time.sleep(0.05)
    os.killpg(head.pid, signal.SIGINT)  # a terminal sends it to all of the group
    _, said = head.communicate(timeout=300)
    assert head.returncode == 130, said
    return said


def within(folder: Path) -> list[str]:
    """Processes that are at work in a folder."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if Path(process.cwd()).is_relative_to(folder):
                found.append(command_line(process))
    return found


def command_line(process: psutil.Process) -> str:
    """What a process was started with; '' if it has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def test_ctrl_c_and_then_a_node_killed_change_nothing(
    at_lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "300")  # on a machine that does much else …
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "0")  # … Ray would kill for others' use of memory, too
    monkeypatch.setenv("RAY_worker_niceness", "0")  # its own would leave the work last
    small: dict[str, Any] = {"include_dashboard": False, "object_store_memory": 80 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **small})
    stop = threading.Event()
    killed: list[str] = []
    scratch = tmp_path / "scratch"
    command = (
        "harness", "fleet", "run", CLUSTERS, "--address", cluster.address, "--gpus-per-run", "0",
        "--cpus-per-run", "1", "--every", "0.2", "--scratch", str(scratch),
    )  # fmt: skip
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1, **small)
        cluster.wait_for_nodes()

        said = interrupted_in_the_middle(at_lab, command)
        assert said.endswith(
            "telling the workers to save and stop\ninterrupted; run the same command again to continue\n"
        )
        assert (within(scratch), list(scratch.glob("run-*"))) == ([], [])  # nobody is left at work
        assert len(states(at_lab)) == 1
        assert "1 finished, 1 interrupted\n" in at_lab.project.run("harness", "fleet", "status")
        assert "prepare@drawn-summer:" in (at_lab.root / "dvc.lock").read_text()  # what was finished is here

        killer = threading.Thread(target=killed_in_the_middle, args=(at_lab, cluster, killed, stop), daemon=True)
        killer.start()
        said = at_lab.project.run(*command)
    finally:
        stop.set()
        cluster.shutdown()
    assert killed
    assert "\n2 runs and datasets: 1 done on 1 machine, 1 unchanged\n" in f"\n{said}"  # Ray says its own beside it

    record = json.loads((run_folder(at_lab.root, CLUSTERS) / "record.json").read_text())
    assert record["resumed"] >= 2
    assert not (at_lab.root / "results" / "attempts").exists()  # the head has computed nothing
    assert list(scratch.glob("run-*")) == []
    assert at_lab.project.run("harness", "run", CLUSTERS) == "7 stages of 1 run: 7 unchanged\n"  # its locks are right

    undisturbed = tmp_path / "undisturbed"
    undisturbed.mkdir()
    for shared in ("datasets", "methods", "data"):
        (undisturbed / shared).symlink_to(at_lab.root / shared)
    environment = {name: value for name, value in os.environ.items() if name not in THREADS}  # as workers have it
    subprocess.run(
        [sys.executable, "-c", TRAIN, str(at_lab.root), str(undisturbed), CLUSTERS], env=environment, check=True
    )
    expected, found = run_folder(undisturbed, CLUSTERS), run_folder(at_lab.root, CLUSTERS)
    assert same_weights(found, expected)
    assert history(found) == history(expected)
    assert scores(found) == scores(expected)


def scores(folder: Path) -> dict[str, Any]:
    """What the metrics say but for times, what they vouch for, and the seal over all of it."""
    return Metrics.model_validate_json((folder / "metrics.json").read_bytes()).model_dump(
        exclude={"seconds", "record_sha256", "queries_sha256", "sha256"}
    )
