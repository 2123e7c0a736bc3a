"""`docs/results.md`: what came out on the drawn tasks, written by the tool from the database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from harness.errors import UserError
from harness.paths import write_text
from harness.specs.registry import Registry
from harness.store import Store, open_store, views
from harness.store.compare import MethodComparison, compare, contestant, corrected
from harness.store.database import database_url
from harness.tables.formats import escape_markdown
from harness.tables.terminal import render_leaderboard
from harness.tables.text import signed, task_title
from harness.tables.verdicts import ONE_SEED, probability, would_take

HEADER = """\
# Results on the drawn benchmark

Written by `harness results report`; do not edit. Percent, protocol reid-v1, last epoch, mean over the seeds.
The comparisons take seeds and identities for random: 95 % intervals and p-values are Student's t with Satterthwaite's
degrees of freedom, the mean difference per query clustered by identity; p-values are corrected after Holm for the
number of comparisons on the task. The formula, its sources and what it holds: [statistics.md](statistics.md). The
spread over seeds is the column ±.
"""
IN_SHORT = """\
### In short

Every method against what it is judged by: the difference in points of mAP and its 95 % interval, bold where the two
can be told apart after Holm. {better} say better, {worse} say worse, {neither} cannot tell the two apart.
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
        titles = {name: dataset.title for name, dataset in registry.datasets.items()}
        compared = {task: rows for task in tasks if (rows := _comparisons(store, registry, task))}
        parts = [HEADER, _in_short({task_title(task, titles): rows for task, rows in compared.items()})]
        for task, rows in compared.items():
            parts += [render_leaderboard(root, "md", task), _table(task_title(task, titles), rows)]
    finally:
        store.close()
    path = root / "docs" / "results.md"
    write_text(path, "\n".join(parts))
    return path


def _comparisons(store: Store, registry: Registry, task: str) -> list[MethodComparison]:
    """Compare every method with runs on exactly this task with those it is judged against; p-values after Holm."""
    results: list[MethodComparison] = []
    for name in sorted({pairing.method for pairing in registry.planned.values() if pairing.task == task}):
        if views.runs(store, task, name):
            for other in registry.methods[name].judged_against:
                with suppress(UserError):  # the other one has no run here: the leaderboard above says why
                    results += compare(contestant(store, task, other), [contestant(store, task, name)])
    return corrected(results)


def _in_short(compared: Mapping[str, list[MethodComparison]]) -> str:
    """Return all comparisons as one Markdown table, methods by tasks; `compared` has them by the task's title."""
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for task, rows in compared.items():
        for row in rows:
            result = row.result
            text = f"{signed(result.difference)} ({signed(result.low)} … {signed(result.high)})"
            told = row.verdict in ("better", "worse")
            cells.setdefault((row.other.name, row.reference.name), {})[task] = f"**{text}**" if told else text
    said = Counter(row.verdict for rows in compared.values() for row in rows)
    lines = [
        IN_SHORT.format(better=said["better"], worse=said["worse"], neither=said["cannot be told apart"]),
        f"| method | against | {' | '.join(map(escape_markdown, compared))} |",
        f"| :--- | :--- |{' ---: |' * len(compared)}",
    ]
    for (other, reference), by_task in sorted(cells.items()):
        lines.append(f"| {other} | {reference} | {' | '.join(by_task.get(task, '') for task in compared)} |")
    return "\n".join(lines) + "\n"


def _table(task: str, rows: list[MethodComparison]) -> str:
    """Return the comparisons on a task of this title as a Markdown table."""
    lines = [
        f"Comparisons on {escape_markdown(task)}:",
        "",
        "| method | against | seeds | mAP difference | 95 % interval | p (Holm) | verdict | could be told |",
        "| :--- | :--- | :---: | ---: | :---: | ---: | :--- | :--- |",
    ]
    for row in rows:
        result = row.result
        p = probability(row.corrected) if row.verdict else ""
        lines.append(
            f"| {row.other.name} | {row.reference.name} | {result.seeds_a}, {result.seeds_b} "
            f"| {signed(result.difference)} | {signed(result.low)} … {signed(result.high)} | {p} "
            f"| {row.verdict or ONE_SEED} | {'; '.join(would_take(row))} |"
        )
    return "\n".join(lines) + "\n"
