"""The leaderboard with 1,000 runs of 12,000 queries: ingestion, first page, filter change, each measured in one run.

    python -m benchmarks.leaderboard [--runs 1000] [--queries 12000] [--no-browser]

Makes a project with drawn results (not trained ones) in a temporary folder, takes it into a new database, serves it and
opens it in headless Chromium. The store's figures are the least of five; those of the browser are single first views.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness.pipeline.documents import HISTORY_COLUMNS, Best, Hardware, Metrics, Record
from harness.store import ingest, open_store, queries
from harness.store.comparing import compare, contestant
from harness.store.database import database_url

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SEEDS = 5
METHODS = 20
EPOCHS = 50


def make_results(root: Path, runs: int, query_count: int) -> list[str]:
    """Write `runs` run folders: 20 methods, 5 seeds, as many tasks as that takes. Returns the tasks."""
    generator = np.random.default_rng(0)
    tasks = [f"task{i:02d}" for i in range(-(-runs // (METHODS * SEEDS)))]
    rows = np.arange(query_count)
    fixed = {
        "query": pa.array(rows, pa.int32()),
        "path": pa.array([f"query/{i:05d}.jpg" for i in rows]),
        "identity": pa.array(rows // 4, pa.int32()),
        "camera": pa.array(rows % 6, pa.int32()),
        "first_hit": pa.array(np.ones(query_count), pa.int32()),
        "gallery": pa.array([[0]] * query_count, pa.list_(pa.int32())),
        "correct": pa.array([[True]] * query_count, pa.list_(pa.bool_())),
    }
    history = ",".join(HISTORY_COLUMNS) + "\n"
    history += "".join(
        f"{epoch}," + ",".join(["0.5"] * (len(HISTORY_COLUMNS) - 1)) + "\n" for epoch in range(1, EPOCHS)
    )
    for done in range(runs):
        task, method, seed = tasks[done // (METHODS * SEEDS)], done // SEEDS % METHODS, done % SEEDS
        hard = np.random.default_rng(int(task[4:])).normal(0.3 + 0.02 * (method // 2), 0.2, query_count)
        ap = np.clip(hard + generator.normal(0, 0.1, query_count), 0.001, 1)
        key = f"method{method:02d}__{task}__s{seed}"
        _write(root / "results" / "runs" / key, key, ap, fixed, history)
    return tasks


def _write(folder: Path, key: str, ap: np.ndarray, fixed: dict[str, pa.Array], history: str) -> None:
    method, task, seed = key.split("__")
    folder.mkdir(parents=True)
    pq.write_table(pa.table(fixed | {"ap": ap}), folder / "queries.parquet")
    score = 100 * float(ap.astype(np.float32).mean(dtype=np.float64))
    metrics = Metrics(
        map=score, rank1=score, rank5=score, rank10=score, minp=score, map_trapezoid=score, protocol="reid-v1",
        queries=len(ap), queries_without_match=0, gallery=1, best_on_test=Best(epoch=EPOCHS, map=score, rank1=score),
        seconds=1,
    )  # fmt: skip
    record = Record(
        key=key, method=method, setting="usl", source=None, target=task, seed=int(seed[1:]), regime="paper", spec={},
        spec_hash="", code_version="", data_hashes={task: "0"}, init=(), protocol="reid-v1", bn_groups=1,
        precision="float32", hardware=Hardware(device="none", threads=1, platform=""), versions={},
        started=datetime(2026, 1, 1, tzinfo=UTC), seconds=3600, cpu_seconds=3600,
        gpu_seconds=3600 * (1 + int(method[6:])),
        peak_memory_gib=8, images_per_second=None, epochs=EPOCHS,
    )  # fmt: skip
    (folder / "metrics.json").write_text(metrics.model_dump_json())
    (folder / "record.json").write_text(record.model_dump_json())
    (folder / "history.csv").write_text(history)


def seconds(work: Callable[[], object], repeats: int = 1) -> float:
    """Return the least wall time of `repeats` calls."""
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return min(times)


def measure_store(root: Path, tasks: list[str]) -> dict[str, float]:
    """Return seconds of ingestion and of what the pages ask the store for."""
    found = {"ingest, all new": seconds(lambda: ingest(root)), "ingest, unchanged": seconds(lambda: ingest(root))}
    store = open_store(database_url(root), read_only=True)
    found["leaderboard of one task"] = seconds(lambda: queries.leaderboard(store, tasks[0]), 5)
    found["matrix of all"] = seconds(lambda: queries.matrix(store), 5)
    a, b = contestant(store, tasks[0], "method00"), contestant(store, tasks[0], "method01")
    found["compare two methods"] = seconds(lambda: compare(a, [b]), 5)
    store.close()
    return found


def measure_browser(root: Path, tasks: list[str]) -> dict[str, float]:
    """Return seconds of the first page after the server has started, of a reload, and of filter changes."""
    from scripts.screenshots import chromium, new_page, serving

    grid = '[data-testid="stDataFrame"] canvas'
    idle = '[data-testid="stApp"][data-test-script-state="notRunning"]'
    found: dict[str, float] = {}
    with serving(root) as address, chromium() as browser:

        def view(page_address: str) -> tuple[float, float]:
            page = new_page(browser)
            begun = time.perf_counter()
            page.goto(page_address)
            page.wait_for_selector(grid)
            table = time.perf_counter() - begun
            page.wait_for_selector(idle)
            return table, time.perf_counter() - begun

        found["an empty Streamlit page"] = _blank(browser)
        for visitor, task in (("first", tasks[0]), ("second", tasks[1 % len(tasks)])):
            table, all_of_it = view(f"{address}/?task={task}")
            found[f"{visitor} visitor, table"], found[f"{visitor} visitor, whole page"] = table, all_of_it
        page = new_page(browser)
        page.goto(f"{address}/?task={tasks[0]}")
        page.wait_for_selector(grid)
        page.wait_for_timeout(2000)
        changes = []
        for setting in ("USL", "all", "USL", "all"):
            begun = time.perf_counter()
            page.get_by_role("radio", name=setting, exact=True).click()
            page.wait_for_url(f"**setting={setting.lower()}**")
            page.wait_for_selector(idle)
            changes.append(time.perf_counter() - begun)
            page.wait_for_timeout(500)
        found["filter change, slowest of 4"] = max(changes)
    return found


def _blank(browser: Browser) -> float:
    """Seconds in which Streamlit shows a page with one line: what no leaderboard can be faster than."""
    from scripts.screenshots import new_page, serving

    with tempfile.TemporaryDirectory() as folder:
        app = Path(folder) / "app.py"
        app.write_text("import streamlit as st\nst.title('x')\n")
        with serving(Path(folder), app=app) as address:
            page = new_page(browser)
            begun = time.perf_counter()
            page.goto(address)
            page.wait_for_selector("h1")
            return time.perf_counter() - begun


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--queries", type=int, default=12000)
    parser.add_argument("--no-browser", action="store_true")
    options = parser.parse_args()
    os.environ.pop("HARNESS_DATABASE_URL", None)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        tasks = make_results(root, options.runs, options.queries)
        found = measure_store(root, tasks)
        found["database, MiB"] = Path(database_url(root)).stat().st_size / 2**20
        if not options.no_browser:
            found |= measure_browser(root, tasks)
    print(json.dumps({name: round(value, 3) for name, value in found.items()}, indent=1))


if __name__ == "__main__":
    main()
