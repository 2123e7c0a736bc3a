"""`docs/results.md`: what came out on the drawn tasks, written by the tool from the database."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from harness.errors import UserError
from harness.evaluation.statistics import LEVEL, holm
from harness.paths import write_text
from harness.specs.registry import Registry
from harness.store import Store, open_store, views
from harness.store.compare import Comparison, compare, contestant
from harness.store.database import database_url
from harness.tables.formats import escape_markdown
from harness.tables.terminal import render_leaderboard
from harness.tables.text import signed, task_title

HEADER = """\
# Results on the drawn benchmark

Written by `harness results report`; do not edit. Percent, protocol reid-v1, last epoch, mean over the seeds.
The comparisons average each query's AP over the seeds; intervals are 95 % paired bootstraps over queries, p-values
paired permutation tests of 10,000 flips (none is below 0.0001), corrected after Holm for the number of comparisons on
the task. The spread over seeds is the column ±.
"""


def write_report(root: Path) -> Path:
    """Write docs/results.md from the ingested results and return its path. Raises UserError without results."""
    registry = Registry.load(root).checked()
    drawn = {pairing.task for pairing in registry.planned.values() if registry.datasets[pairing.target].drawn}
    store = open_store(database_url(root), read_only=True)
    try:
        tasks = [task.name for task in views.tasks(store) if task.name in drawn and task.reproduced]
        if not tasks:
            raise UserError("there are no results on drawn tasks yet; run `make` first")
        parts = [HEADER]
        for task in tasks:
            rows = _comparisons(store, registry, task)
            if rows:
                parts += [render_leaderboard(root, "md", task), _table(task, rows)]
    finally:
        store.close()
    path = root / "docs" / "results.md"
    write_text(path, "\n".join(parts))
    return path


def _comparisons(store: Store, registry: Registry, task: str) -> list[tuple[Comparison, float]]:
    """Compare every method with runs on exactly this task with those it is judged against; p-values after Holm."""
    results: list[Comparison] = []
    for name in sorted({pairing.method for pairing in registry.planned.values() if pairing.task == task}):
        if views.runs(store, task, name):
            for other in registry.methods[name].judged_against:
                with suppress(UserError):  # the other one has no run here: the leaderboard above says why
                    results += compare(contestant(store, task, other), [contestant(store, task, name)])
    if not results:
        return []
    corrected = holm([result.p_value for result in results])
    return [(result, float(p)) for result, p in zip(results, corrected, strict=True)]


def _table(task: str, rows: list[tuple[Comparison, float]]) -> str:
    """Return the comparisons as a Markdown table."""
    lines = [
        f"Comparisons on {escape_markdown(task_title(task))}:",
        "",
        "| method | against | mAP difference | 95 % interval | p (Holm) | verdict |",
        "| :--- | :--- | ---: | :---: | ---: | :--- |",
    ]
    for result, p in rows:
        verdict = "cannot be told apart" if p >= LEVEL else "better" if result.difference > 0 else "worse"
        lines.append(
            f"| {result.other} | {result.reference} | {signed(result.difference)} "
            f"| {signed(result.low)} … {signed(result.high)} | {'< 0.001' if p < 0.001 else f'{p:.3f}'} | {verdict} |"
        )
    return "\n".join(lines) + "\n"
