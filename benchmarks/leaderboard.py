"""Leaderboard over generated (not trained) results: ingestion, queries of the pages, first page, filter.

A temporary project is taken into a new database, served, and opened in headless Chromium where there is one. The
reference of the store is reading the result files themselves; the limit of a page is Streamlit showing a single line.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.measure import Outcome, measured
from harness.evaluation import compare_runs
from harness.evaluation.counting import Ranks
from harness.evaluation.ranking import score
from harness.pipeline.records import HISTORY_COLUMNS, Best, Hardware, Metrics, Record
from harness.store import ingest, open_store, views
from harness.store.compare import compare, contestant
from harness.store.database import database_url

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# Runs, and queries of each.
SIZES = {"small": (100, 1_000), "full": (1_000, 12_000)}
SEEDS = 5
METHODS = 20
EPOCHS = 50
GALLERY = 1_000
FILES = "reading the files"
GRID = '[data-testid="stDataFrame"] canvas'
AT_REST = '[data-testid="stApp"][data-test-script-state="notRunning"]'
BLANK = "an empty Streamlit page"


def run(size: str, repeats: int, with_reference: bool) -> Iterator[Outcome]:
    """Yield the outcomes of the store, then those of the browser."""
    from scripts.screenshots import CHROMIUM

    os.environ.pop("HARNESS_DATABASE_URL", None)
    runs, query_count = SIZES[size]
    shape = f"{runs:,} x {query_count:,}"
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        tasks = make_results(root, runs, query_count)
        yield from store_outcomes(root, tasks, shape, repeats, with_reference)
        if Path(CHROMIUM).exists():
            yield from page_outcomes(root, tasks, shape)


def make_results(root: Path, runs: int, query_count: int) -> list[str]:
    """Write `runs` run folders: 20 methods, 5 seeds, as many tasks as that takes. Returns the tasks."""
    generator = np.random.default_rng(0)
    tasks = [f"task{i:02d}" for i in range(-(-runs // (METHODS * SEEDS)))]
    rows = np.arange(query_count)
    fixed = {
        "query": pa.array(rows, pa.int32()),
        "path": pa.array([f"query/{i:05d}.jpg" for i in rows]),
        "identity": pa.array(rows // 4, pa.int64()),
        "camera": pa.array(rows % 6, pa.int32()),
    }
    history = ",".join(HISTORY_COLUMNS) + "\n"
    history += "".join(
        f"{epoch}," + ",".join(["0.5"] * (len(HISTORY_COLUMNS) - 1)) + "\n" for epoch in range(1, EPOCHS)
    )
    for done in range(runs):
        task, method, seed = tasks[done // (METHODS * SEEDS)], done // SEEDS % METHODS, done % SEEDS
        hard = np.random.default_rng(int(task[4:])).normal(0.3 + 0.02 * (method // 2), 0.2, query_count)
        ap = np.clip(hard + generator.normal(0, 0.1, query_count), 1 / GALLERY, 1)
        key = f"method{method:02d}__{task}__s{seed}"
        _write(root / "results" / "runs" / key, key, np.rint(1 / ap).astype(np.int64), fixed, history)
    return tasks


def _write(folder: Path, key: str, first: NDArray[np.int64], fixed: dict[str, pa.Array], history: str) -> None:
    """Write a run whose queries have one right answer each, at rank `first` [queries]; its list shows two images."""
    method, task, seed = key.split("__")
    folder.mkdir(parents=True)
    count = len(first)
    ranked = np.tile(np.arange(2), (count, 1))
    result = score(iter([Ranks(np.ones(count, np.int64), first, ranked)]))
    right = np.stack([first == 1, first == 2], axis=1)
    table = fixed | {
        "ap": pa.array(result.ap),
        "first_hit": pa.array(first, pa.int32()),
        "gallery": pa.array(ranked.tolist(), pa.list_(pa.int32())),
        "correct": pa.array(right.tolist(), pa.list_(pa.bool_())),
        "match_ranks": pa.array(first[:, None].tolist(), pa.list_(pa.int32())),
    }
    pq.write_table(pa.table(table), folder / "queries.parquet")
    (folder / "history.csv").write_text(history)
    record = Record(
        key=key, method=method, setting="usl", source=None, target=task, seed=int(seed[1:]), regime="paper", spec={},
        spec_hash="", code_version="", data_hashes={task: "0"}, init=(), protocol="reid-v1", bn_groups=1,
        precision="float32", hardware=Hardware(device="none", threads=1, platform=""), versions={},
        started=datetime(2026, 1, 1, tzinfo=UTC), seconds=3600, cpu_seconds=3600,
        gpu_seconds=3600 * (1 + int(method[6:])),
        peak_memory_gib=8, images_per_second=None, epochs=EPOCHS,
        checkpoint_sha256="0" * 64, history_sha256=_sha256(folder / "history.csv"),
    )  # fmt: skip
    (folder / "record.json").write_text(record.model_dump_json())
    best = Best(epoch=EPOCHS - 1, map=100 * result.map, rank1=100 * result.cmc[1])
    metrics = Metrics(
        map=100 * result.map, rank1=100 * result.cmc[1], rank5=100 * result.cmc[5], rank10=100 * result.cmc[10],
        minp=100 * result.minp, map_trapezoid=100 * result.map_trapezoid, protocol="reid-v1",
        record_sha256=_sha256(folder / "record.json"), checkpoint_sha256="0" * 64,
        queries_sha256=_sha256(folder / "queries.parquet"),
        queries=count, queries_without_match=0, gallery=GALLERY, best_on_test=best, seconds=1,
    )  # fmt: skip
    (folder / "metrics.json").write_text(metrics.model_dump_json())


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def store_outcomes(root: Path, tasks: list[str], shape: str, repeats: int, with_reference: bool) -> Iterator[Outcome]:
    """Yield the outcomes of ingestion and of the pages' queries."""
    _, new = measured(lambda: ingest(root))
    _, again = measured(lambda: ingest(root), repeats)
    size = Path(database_url(root)).stat().st_size / 2**20
    yield Outcome("leaderboard ingest", shape, new.seconds, new.extra_gib, agreement=f"database of {size:.1f} MiB")
    yield Outcome("leaderboard ingest again", shape, again.seconds, again.extra_gib, agreement="nothing has changed")
    store = open_store(database_url(root), read_only=True)
    try:
        rows, ours = measured(lambda: views.leaderboard(store, tasks[0]), repeats)
        _, matrix = measured(lambda: views.matrix(store), repeats)
        a, b = contestant(store, tasks[0], "method00"), contestant(store, tasks[0], "method01")
        (pair,), compared = measured(lambda: compare(a, [b]), repeats)
    finally:
        store.close()
    yield Outcome("leaderboard matrix", shape, matrix.seconds, matrix.extra_gib)
    if not with_reference:
        yield Outcome("leaderboard task", shape, ours.seconds, ours.extra_gib)
        yield Outcome("leaderboard compare", shape, compared.seconds, compared.extra_gib)
        return
    means, slow = measured(lambda: read_means(root, tasks[0]), repeats)
    off = max(abs(row.scores["map"].mean - means[row.method]) for row in rows)
    yield Outcome(
        "leaderboard task", shape, ours.seconds, ours.extra_gib, FILES, slow.seconds, slow.extra_gib,
        agreement=f"{len(rows)} methods, mAP off by at most {off:.0e}",
    )  # fmt: skip
    difference, slow = measured(lambda: read_and_compare(root, tasks[0]), repeats)
    yield Outcome(
        "leaderboard compare", shape, compared.seconds, compared.extra_gib, FILES, slow.seconds, slow.extra_gib,
        agreement=f"difference off by {abs(pair.result.difference - difference):.0e} points",
    )  # fmt: skip


def read_means(root: Path, task: str) -> dict[str, float]:
    """Return the mean mAP of every method on a task, from its runs' documents."""
    found: dict[str, list[float]] = {}
    for folder in (root / "results" / "runs").glob(f"*__{task}__*"):
        record = Record.model_validate_json((folder / "record.json").read_bytes())
        metrics = Metrics.model_validate_json((folder / "metrics.json").read_bytes())
        found.setdefault(record.method, []).append(metrics.map)
    return {method: float(np.mean(scores)) for method, scores in found.items()}


def read_and_compare(root: Path, task: str) -> float:
    """The difference of the first two methods' mAP on a task in points, tested, from the lists of their queries."""
    ap = []
    for method in ("method01", "method00"):
        folders = sorted((root / "results" / "runs").glob(f"{method}__{task}__*"))
        tables = [pq.read_table(folder / "queries.parquet", columns=["ap", "identity"]) for folder in folders]
        ap.append(100 * np.stack([table["ap"].to_numpy() for table in tables]))
    return compare_runs(ap[0], ap[1], tables[0]["identity"].to_numpy()).difference


def page_outcomes(root: Path, tasks: list[str], shape: str) -> Iterator[Outcome]:
    """Yield seconds of the first page of a server, of another one after it, and of filter changes.

    Beside each stand the processor seconds of the server, which tell the same on a busy machine. The first visitor asks
    as soon as the server answers. Python's bytecode is there, as it is at the second start after an installation.
    """
    from scripts.screenshots import chromium, serving

    with tempfile.TemporaryDirectory() as bytecode, chromium() as browser:
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        kept["PYTHONPYCACHEPREFIX"] = bytecode
        with serving(root, environment=kept) as address:
            _opened(browser, f"{address}/?task={tasks[0]}", GRID)
        blank = _blank(browser, kept)

        def outcome(what: str, wall: float, processor: float) -> Outcome:
            return Outcome(f"leaderboard {what}", shape, wall, 0.0, limit_s=blank.wall, limit=BLANK,
                           agreement=f"server {processor:.2f} s of processor, empty {blank.processor:.2f}")  # fmt: skip

        with serving(root, environment=kept) as address:
            first = _opened(browser, f"{address}/?task={tasks[0]}", GRID)
            yield outcome("first page", first.wall, first.processor)
            second = _opened(browser, f"{address}/?task={tasks[1 % len(tasks)]}", GRID)
            yield outcome("second page", second.wall, second.processor)
            changes = [_change(second.page, address, setting) for setting in ("USL", "all", "USL", "all")]
            yield outcome("filter, slowest of 4", max(w for w, _ in changes), max(p for _, p in changes))


@dataclass(frozen=True)
class _Opened:
    """A page, the seconds until it showed what it was opened for, and the server's processor seconds until at rest."""

    page: Page
    wall: float
    processor: float


def _opened(browser: Browser, address: str, wanted: str) -> _Opened:
    from scripts.screenshots import new_page

    page, before = new_page(browser), _processor(address)
    begun = time.perf_counter()
    page.goto(address)
    page.wait_for_selector(wanted)
    wall = time.perf_counter() - begun
    page.wait_for_selector(AT_REST)
    return _Opened(page, wall, _processor(address) - before)


def _change(page: Page, address: str, setting: str) -> tuple[float, float]:
    """Return the seconds from a click on a filter until the page is at rest, and the server's processor seconds."""
    page.wait_for_timeout(1000)
    begun, before = time.perf_counter(), _processor(address)
    page.get_by_role("radio", name=setting, exact=True).click()
    page.wait_for_url(f"**setting={setting.lower()}**")
    page.wait_for_selector(AT_REST)
    return time.perf_counter() - begun, _processor(address) - before


def _blank(browser: Browser, environment: Mapping[str, str]) -> _Opened:
    """What Streamlit takes to show a page with one line: the lower bound."""
    from scripts.screenshots import serving

    with tempfile.TemporaryDirectory() as folder:
        app = Path(folder) / "app.py"
        app.write_text("import streamlit as st\nst.title('x')\n")
        with serving(Path(folder), app=app, environment=environment) as address:
            return _opened(browser, address, "h1")


def _processor(address: str) -> float:
    """Return the processor seconds so far of the process that listens at an address of this machine."""
    port = int(address.split(":")[2].partition("/")[0])
    owner = next(c.pid for c in psutil.net_connections("tcp") if c.laddr.port == port and c.status == "LISTEN")
    times = psutil.Process(owner).cpu_times()
    return float(times.user + times.system)
