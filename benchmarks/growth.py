"""How time and memory grow with the number of images: writes `docs/performance.md` and `docs/performance.svg`."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import evaluate, jaccard
from benchmarks.features import DIMENSIONS
from benchmarks.measure import Outcome, measured
from benchmarks.plot import log_log_svg

# Images per step; `full` takes some ten minutes on two cores.
STEPS = {"small": (2_000, 4_000, 8_000), "full": (8_192, 16_384, 32_621, 65_242)}
QUERIES = 1_000
PEAK_SIDE = 4_096
PAGE, PLOT = Path("docs/performance.md"), Path("docs/performance.svg")


@dataclass(frozen=True)
class Curve:
    """One piece of work over a range of sizes."""

    name: str
    outcomes: list[Outcome]

    def exponent(self, sizes: list[int]) -> float:
        """The slope of log time against log size."""
        return float(np.polyfit(np.log(sizes), np.log([outcome.ours_s for outcome in self.outcomes]), 1)[0])


def write(size: str, repeats: int) -> None:
    """Measure every step of `size`, print it, and write the page and its plot."""
    sizes = list(STEPS[size])
    peak = gemm_peak()
    found: dict[str, list[Outcome]] = {}
    for n in sizes:
        steps = [*evaluate.outcomes(QUERIES, n, repeats, False), *jaccard.outcomes(n, repeats, False)]
        for outcome in steps:
            print(outcome, flush=True)
            found.setdefault(outcome.benchmark, []).append(outcome)
    curves = [Curve(name, outcomes) for name, outcomes in found.items()]
    PAGE.write_text(page(curves, size, peak), encoding="utf-8")
    PLOT.write_text(
        log_log_svg(
            [(curve.name, sizes, [outcome.ours_s for outcome in curve.outcomes]) for curve in curves],
            "images",
            "seconds",
        ),
        encoding="utf-8",
    )


def gemm_peak() -> float:
    """The fastest large square float32 product of this machine, in GFLOP/s."""
    square = np.ones((PEAK_SIDE, PEAK_SIDE), np.float32)
    _, timing = measured(lambda: square @ square, repeats=5)
    return 2 * PEAK_SIDE**3 / timing.seconds / 1e9


def page(curves: list[Curve], size: str, peak: float) -> str:
    """Return the Markdown page."""
    sizes = list(STEPS[size])
    lines = [
        "# How time and memory grow",
        "",
        f"Written by `python -m benchmarks growth --size {size}`; not edited by hand.",
        "",
        f"Features are float32 with {DIMENSIONS:,} dimensions, random but clustered. {QUERIES:,} queries are ranked",
        f"against N gallery images, and N images are given pseudo-labels (k1 {jaccard.K1}, k2 {jaccard.K2},",
        f"eps {jaccard.EPS}). Seconds are the fastest of several runs; *extra* is memory beyond the features.",
        "",
        f"Machine: {os.cpu_count()} cores ({platform.machine()}). The largest square product in the same run reached",
        f"{peak:.0f} GFLOP/s; *share of peak* is the useful part of the product, over the whole time, over that.",
        "",
        "![Seconds against the number of images](performance.svg)",
        "",
    ]
    for curve in curves:
        lines += [
            f"## {curve.name[0].upper()}{curve.name[1:]}",
            "",
            f"Time grows with N to the power **{curve.exponent(sizes):.2f}**.",
            "",
            "| N | seconds | times the bare product | share of peak | extra GiB |",
            "| ---: | ---: | ---: | ---: | ---: |",
        ]
        for n, outcome in zip(sizes, curve.outcomes, strict=True):
            over, share = "", ""
            if outcome.over_limit is not None:
                pairs = QUERIES * n if curve.name.startswith("evaluate") else n * (n + 1) // 2
                over = f"{outcome.over_limit:.2f}"
                share = f"{2 * DIMENSIONS * pairs / outcome.ours_s / 1e9 / peak:.0%}"
            lines.append(f"| {n:,} | {outcome.ours_s:.3f} | {over} | {share} | {outcome.extra_gib:.3f} |")
        lines.append("")
    return "\n".join(lines)
