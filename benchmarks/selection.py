"""Which label-free figure follows the mAP over the epochs? Three rules over the histories of all runs of the project in
the current folder; `full` writes the section of `docs/statistics.md`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from benchmarks.measure import Outcome
from benchmarks.page import write_section
from harness.labels.label_free import RULE, RULES, score
from harness.store import ingest, open_store, views
from harness.store.database import database_url

History = Mapping[str, Sequence[float | None]]
SIZES = {"small": False, "full": True}
"""Whether the page is written."""
PAGE = Path("docs/statistics.md")
TITLE = "Which epoch, without labels?"
FEWEST = 3
"""Evaluated epochs that a rank correlation needs to say anything."""
NONE_YET = "No history has the label-free figures yet: they come with runs that this version of the code computes."


@dataclass(frozen=True)
class Judged:
    """A rule over all runs: rank correlation of its score with mAP, and points of mAP that its choice gives away."""

    rule: str
    runs: int
    correlation: tuple[float, float, float]
    regret: float
    regret_of_last: float


def run(size: str, repeats: int, with_reference: bool) -> Iterator[Outcome]:
    """Yield one outcome per rule; none where no history has the figures."""
    begun = time.perf_counter()
    judged = judge(histories(Path.cwd()))
    seconds = time.perf_counter() - begun
    if not judged:
        yield Outcome("selection", "0 runs", seconds, 0.0, agreement=NONE_YET)
    for each in judged:
        found = f"rank correlation {each.correlation[1]:+.2f}, regret {each.regret:.1f}, last {each.regret_of_last:.1f}"
        yield Outcome(f"selection {each.rule}", f"{each.runs} runs", seconds, 0.0, agreement=found)
    if SIZES[size]:
        write_section(TITLE, section(judged), PAGE)


def histories(root: Path) -> list[History]:
    """Return the history of every finished or published run of the project at `root`."""
    ingest(root)
    store = open_store(database_url(root), read_only=True)
    try:
        details = [views.run_detail(store, run.key) for run in views.runs(store)]
    finally:
        store.close()
    return [detail.history for detail in details if detail is not None]


def judge(found: Sequence[History]) -> list[Judged]:
    """Judge every rule on the runs whose evaluated epochs all have a score under every rule, so on the same ones."""
    usable = [rows for history in found if len(rows := _evaluated(history)) >= FEWEST]
    if not usable:
        return []
    judged = []
    for rule in RULES:
        correlations, regrets, last = [], [], []
        for rows in usable:
            scores, maps = np.array([score(row, rule) for row in rows]), np.array([row["target_map"] for row in rows])
            if np.ptp(scores) and np.ptp(maps):
                correlations.append(float(spearmanr(scores, maps).statistic))
            chosen = len(scores) - 1 - int(np.argmax(scores[::-1]))  # of equals the later, as in a run
            regrets.append(maps.max() - maps[chosen])
            last.append(maps.max() - maps[-1])
        low, middle, high = np.quantile(correlations or [np.nan], [0.25, 0.5, 0.75]).tolist()
        judged.append(Judged(rule, len(usable), (low, middle, high), float(np.mean(regrets)), float(np.mean(last))))
    return judged


def _evaluated(history: History) -> list[dict[str, Any]]:
    """The epochs with a test score and with everything that the rules need."""
    rows = [dict(zip(history, values, strict=True)) for values in zip(*history.values(), strict=True)]
    return [
        row for row in rows if row.get("target_map") is not None and all(score(row, rule) is not None for rule in RULES)
    ]


SECTION = """\
Written by `python -m benchmarks selection --size full`; not edited by hand.

The history of a run with pseudo-labels states per epoch the mean silhouette of the clustered images (cosine, by
centroids), the share of outliers, the agreement (adjusted Rand index) with the labels of the epoch before, and the
camera bias (normalized mutual information of clusters and cameras), all of the labels that the epoch trained on. One
rule, fixed beforehand, chooses an epoch, and the record states it: **{rule}**.

{found}
"""
FOUND = """\
Three rules on {runs} runs, over the epochs that were evaluated: Spearman's rank correlation of the rule's score with
the mAP (median, and the middle half of the runs), and the regret: what the rule's epoch gives away to the best one on
the test set, in points of mAP, mean over the runs. The last epoch gives away {last:.2f}.

| rule | rank correlation with mAP | middle half | regret |
| :--- | ---: | :---: | ---: |
{rows}"""


def section(judged: Sequence[Judged]) -> str:
    """Return what was found in Markdown."""
    rule = RULE.replace(" x ", " × ")
    if not judged:
        return SECTION.format(rule=rule, found=NONE_YET)
    rows = []
    for each in judged:
        low, middle, high = (f"{value:+.2f}".replace("-", "−") for value in each.correlation)
        rows.append(f"| {each.rule.replace(' x ', ' × ')} | {middle} | {low} … {high} | {each.regret:.2f} |")
    found = FOUND.format(runs=judged[0].runs, last=judged[0].regret_of_last, rows="\n".join(rows))
    return SECTION.format(rule=rule, found=found)
