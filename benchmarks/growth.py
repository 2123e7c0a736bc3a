"""Growth of time and memory with the number of images; the larger sizes write `docs/performance.md` and its plots."""

import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks import batches, evaluate, jaccard
from benchmarks.features import DIMENSIONS
from benchmarks.measure import Outcome, measured
from benchmarks.page import write_section
from benchmarks.plot import log_log_svg
from harness.labels.neighbours import APPROXIMATE_ABOVE


@dataclass(frozen=True)
class Steps:
    """Sizes of one run of this benchmark; those up to `reference` are also measured with the reference."""

    galleries: tuple[int, ...]
    dimensions: int
    protocols: tuple[tuple[int, int], ...]
    clustered: tuple[int, ...]
    reference: int
    batches: tuple[int, ...]


# `full` took seven minutes on two cores. A million gallery features fit where they have 512 dimensions.
SIZES = {
    "small": Steps((2_000, 4_000, 8_000), 512, (), (1_000, 2_000, 4_000), 1_000, (256, 512)),
    "full": Steps(
        (8_192, 19_281, 82_161, 262_144, 1_000_000),
        512,
        ((3_368, 19_281), (11_659, 82_161)),
        (4_096, 8_192, 12_936, 32_621, 65_242),
        12_936,
        (512, 2_048, 8_192),
    ),
    "larger": Steps(
        (8_192, 19_281, 82_161, 262_144, 1_000_000),
        512,
        ((3_368, 19_281), (11_659, 82_161)),
        (4_096, 8_192, 12_936, 32_621, 65_242, 131_072),
        32_621,
        (512, 2_048, 8_192),
    ),
}
QUERIES = 1_024
PLANNED = 1_000_000
PEAK_SIDE = 4_096
# Above this number of images, or of query-gallery pairs, measurements take a minute and are not repeated.
LONG = 40_000, 500_000_000
DOCS = Path("docs")
TITLE = "How time and memory grow"


@dataclass(frozen=True)
class Curve:
    """Measurements of one task over a range of sizes; `flop` is the useful part of its matrix product, or 0."""

    name: str
    sizes: list[int]
    outcomes: list[Outcome]
    flop: list[float]

    @property
    def seconds(self) -> list[float]:
        return [outcome.ours_s for outcome in self.outcomes]

    @property
    def memory(self) -> list[float]:
        """Extra memory in GiB beyond the input; the resolution is one MiB."""
        return [max(outcome.extra_gib, 2**-10) for outcome in self.outcomes]

    def power(self, values: list[float]) -> tuple[float, float]:
        """Fit values = factor * size ** exponent; return (exponent, factor)."""
        exponent, logarithm = np.polyfit(np.log(self.sizes), np.log(values), 1)
        return float(exponent), float(np.exp(logarithm))

    def at(self, size: int, values: list[float]) -> float:
        """Return the fitted value at another size."""
        exponent, factor = self.power(values)
        return float(factor * size**exponent)


def run(size: str, repeats: int, with_reference: bool) -> Iterator[Outcome]:
    """Yield every outcome, then, at size `full`, write the page and its plots."""
    steps = SIZES[size]
    peak = gemm_peak()
    curves: dict[str, Curve] = {}
    fixed: list[Outcome] = []

    def kept(n: int, flop: float, outcome: Outcome) -> Outcome:
        curve = curves.setdefault(outcome.benchmark, Curve(outcome.benchmark, [], [], []))
        curve.sizes.append(n)
        curve.outcomes.append(outcome)
        curve.flop.append(flop)
        return outcome

    for n in steps.batches:
        yield kept(n, 0, feed(n, repeats))
    for n in steps.galleries:
        for outcome in evaluate.outcomes(QUERIES, n, repeats, False, steps.dimensions):
            yield kept(n, 2 * steps.dimensions * QUERIES * n, outcome)
    for n in steps.clustered:
        reference = with_reference and n <= steps.reference
        for outcome in jaccard.outcomes(n, repeats if n < LONG[0] else 1, reference):
            product = 0 if "after" in outcome.benchmark else DIMENSIONS * n * (n + 1)
            yield kept(n, product, outcome)
    for queries, gallery in steps.protocols:
        once = 1 if queries * gallery > LONG[1] else repeats
        for outcome in evaluate.outcomes(queries, gallery, once, with_reference):
            fixed.append(outcome)
            yield outcome
    if size != "small":
        command = f"python -m benchmarks growth --size {size} --repeats {repeats}"
        write(DOCS, page(command, list(curves.values()), fixed, steps, peak), list(curves.values()))


def feed(images: int, repeats: int) -> Outcome:
    """Measure training batches of `n` images from the cache, on one thread."""
    cache = np.zeros((images, *batches.FED, 3), np.uint8)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        batches.consume(batches.from_cache(cache[: batches.BATCH]))  # compile
        _, ours = measured(lambda: batches.consume(batches.from_cache(cache)), repeats)
        _, limit = measured(lambda: batches.consume(batches.written(images)), repeats)
    finally:
        torch.set_num_threads(threads)
    found = f"{images / ours.seconds:,.0f} images/s"
    return Outcome(
        "batches", f"{images:,}", ours.seconds, ours.extra_gib, limit_s=limit.seconds, agreement=found,
        limit="writing the batches",
    )  # fmt: skip


def gemm_peak() -> float:
    """Return the rate of this machine's fastest large square float32 product, in GFLOP/s."""
    square = np.ones((PEAK_SIDE, PEAK_SIDE), np.float32)
    _, timing = measured(lambda: square @ square, repeats=5)
    return 2 * PEAK_SIDE**3 / timing.seconds / 1e9


def write(folder: Path, text: str, curves: list[Curve]) -> None:
    """Write the page and its two plots, without the total, which would hide its largest part, the search."""
    parts = [curve for curve in curves if curve.name != "jaccard total"]
    seconds = [(curve.name, curve.sizes, curve.seconds) for curve in parts]
    memory = [(curve.name, curve.sizes, curve.memory) for curve in parts]
    write_section(TITLE, text, folder / "performance.md")
    (folder / "performance.svg").write_text(log_log_svg(seconds, "images", "seconds"), encoding="utf-8")
    (folder / "performance-memory.svg").write_text(log_log_svg(memory, "images", "GiB"), encoding="utf-8")


def page(command: str, curves: list[Curve], fixed: list[Outcome], steps: Steps, peak: float) -> str:
    """Return the Markdown page."""
    lines = [
        f"Written by `{command}`; not edited by hand.",
        "",
        f"Features are float32, random but clustered. {QUERIES:,} queries with {steps.dimensions} dimensions are",
        f"ranked against N gallery images; N images with {DIMENSIONS:,} dimensions are given pseudo-labels",
        f"(k1 {jaccard.K1}, k2 {jaccard.K2}, eps {jaccard.EPS}); N images of {batches.FED[0]}×{batches.FED[1]} pixels",
        "are made training batches on one thread. Seconds are the best of `--repeats` runs (of one, where it takes a",
        "minute); *extra* is the most memory beyond the input, as the kernel counts it.",
        "",
        f"Machine: {os.cpu_count()} cores ({platform.machine()}). The largest square product in the same run reached",
        f"{peak:.0f} GFLOP/s; *share of peak* is the useful part of the product, over the whole time, over that.",
        "The reference is computed in the same run: the field's dense N×N algorithm, and sorting every query's row.",
        "",
        "![Seconds against the number of images](performance.svg)",
        "",
        "![Extra memory against the number of images](performance-memory.svg)",
        "",
    ]
    for curve in curves:
        lines += _section(curve, peak)
    if fixed:
        lines += ["## Evaluation at the size of Market-1501 and MSMT17", "", *HEADER]
        for outcome in fixed:
            share = ""
            if "features" in outcome.benchmark:
                queries, gallery = (int(part.replace(",", "")) for part in outcome.size.split(" x "))
                share = f"{2 * DIMENSIONS * queries * gallery / outcome.ours_s / 1e9 / peak:.0%}"
            lines.append(_row(f"{outcome.benchmark.removeprefix('evaluate ')}, {outcome.size}", outcome, share))
        lines.append("")
    return "\n".join([*lines, *_plan({curve.name: curve for curve in curves})])


HEADER = [
    "| N | seconds | times the limit | share of peak | extra GiB | reference, s | times faster | its extra GiB |",
    "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
]


def _section(curve: Curve, peak: float) -> list[str]:
    limit = next((f" The limit is {o.limit}." for o in curve.outcomes if o.limit_s), "")
    reference = next((f" The reference is {o.reference}." for o in curve.outcomes if o.reference_s), "")
    found = next(
        (f" {o.agreement[0].upper()}{o.agreement[1:]}." for o in curve.outcomes[::-1] if "%" in o.agreement), ""
    )
    lines = [
        f"## {curve.name[0].upper()}{curve.name[1:]}",
        "",
        f"Time grows with N to the power **{curve.power(curve.seconds)[0]:.2f}**, extra memory {_growth(curve)}."
        f"{limit}{reference}{found}",
        "",
        *HEADER,
    ]
    for n, outcome, flop in zip(curve.sizes, curve.outcomes, curve.flop, strict=True):
        lines.append(_row(f"{n:,}", outcome, f"{flop / outcome.ours_s / 1e9 / peak:.0%}" if flop else ""))
    return [*lines, ""]


def _growth(curve: Curve) -> str:
    """Describe the growth of memory; where only buffers of fixed size are used, no exponent is given."""
    if max(curve.memory) < 2 * min(curve.memory):
        return f"stays within {max(curve.memory):.2f} GiB"
    return f"with N to the power **{curve.power(curve.memory)[0]:.2f}**"


def _row(size: str, outcome: Outcome, share: str) -> str:
    cells = [size, f"{outcome.ours_s:.3f}", _number(outcome.over_limit, 2), share, f"{outcome.extra_gib:.3f}"]
    cells += [_number(outcome.reference_s, 2), _number(outcome.ratio, 1), _number(outcome.reference_extra_gib, 2)]
    return f"| {' | '.join(cells)} |"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _plan(curves: dict[str, Curve]) -> list[str]:
    """Extrapolate the fitted curves to a million images."""
    search, after = curves["jaccard neighbours"], curves["jaccard after neighbours"]
    memory = max(curve.at(PLANNED, curve.memory) for curve in (search, after))
    return [
        f"## {PLANNED:,} images, on paper",
        "",
        f"From the fitted curves, pseudo-labels of {PLANNED:,} images would take",
        f"{search.at(PLANNED, search.seconds):,.0f} s of exact search and {after.at(PLANNED, after.seconds):,.0f} s for"
        f" all that follows, with {memory:.1f} GiB beyond the features' {4 * DIMENSIONS * PLANNED / 2**30:.1f} GiB.",
        f"The exact search is the product of all pairs; above {APPROXIMATE_ABOVE:,} images",
        "an approximate index takes its place (`python -m benchmarks search`), and the run's record holds its recall.",
        "",
    ]
