"""Re-ranking: `rerank` and the scores of what it returns, against the dense N x N algorithm of the field."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numba import get_num_threads
from numpy.typing import NDArray

from benchmarks.features import DIMENSIONS, IMAGES_PER_IDENTITY, cameras, clustered
from benchmarks.measure import Outcome, Timing, measured
from benchmarks.page import write_section
from harness.evaluation import RankingResult, evaluate_distances, evaluate_ranking, rerank

SIZES = {
    "small": ((500, 2_500),),
    "market1501": ((3_368, 15_913),),
    "market1501-distractors": ((3_368, 19_281),),
    "msmt17": ((11_659, 82_161),),
    "full": ((3_368, 15_913), (11_659, 82_161)),
}
"""Queries and gallery images; `full` writes the section of `docs/performance.md`, MSMT17's size there also with `FEW`
dimensions: the search is a product of all pairs, and what follows knows no dimensions."""
FEW = 64
K1, K2, LAMBDA = 20, 6, 0.3
DENSE = 25_000
"""Images that the dense algorithm is asked to re-rank at most: it takes some 20 bytes for each pair of them."""
CLOSE = 1e-5
TITLE = "Re-ranking"

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Measured:
    """What one size took, processor seconds included, and how far the distances are from the dense algorithm's."""

    size: str
    ours: Timing
    processor: float
    dense: Timing | None = None
    largest: float = 0.0
    apart: float = 0.0
    plain: float = 0.0
    reranked: float = 0.0

    @property
    def outcome(self) -> Outcome:
        """The line of the benchmark."""
        said = f"{self.processor:.1f} s of processor time; mAP {self.plain:.2f}, re-ranked {self.reranked:.2f}"
        if self.dense:
            said += f"; distances off by at most {self.largest:.0e}, {self.apart:.1e} of them by more than {CLOSE:.0e}"
        return Outcome(
            "rerank", self.size, self.ours.seconds, self.ours.extra_gib, agreement=said,
            reference="the dense algorithm" if self.dense else "",
            reference_s=self.dense.seconds if self.dense else None,
            reference_extra_gib=self.dense.extra_gib if self.dense else None,
        )  # fmt: skip


def run(size: str, repeats: int, with_reference: bool) -> Iterator[Outcome]:
    """Yield the outcomes at a named size."""
    found = []
    for queries, gallery in SIZES[size]:
        large = queries + gallery > DENSE
        for dimensions in (FEW, DIMENSIONS) if large and size == "full" else (DIMENSIONS,):
            reference = with_reference and not large
            found.append(measure(queries, gallery, 1 if large else repeats, reference, dimensions))
            yield found[-1].outcome
    if size == "full":
        write_section(TITLE, section(found))


def measure(queries: int, gallery: int, repeats: int, with_reference: bool, dimensions: int = DIMENSIONS) -> Measured:
    """Measure the search, the re-ranking and the scores of all its rows, which never exist at once."""
    identities = gallery // IMAGES_PER_IDENTITY
    (query, query_ids), (images, gallery_ids) = (
        clustered(count, identities, seed, dimensions) for count, seed in ((queries, 1), (gallery, 2))
    )
    labels = query_ids, gallery_ids, cameras(queries, 3), cameras(gallery, 4)
    few = [part[:300] for part in labels]
    evaluate_distances(rerank(query[:300], images[:300]), *few)  # compile
    processor = []

    def ours() -> RankingResult:
        begun = time.process_time()
        result = evaluate_distances(rerank(query, images, K1, K2, LAMBDA), *labels)
        processor.append(time.process_time() - begun)
        return result

    result, timing = measured(ours, repeats)
    found = Measured(
        f"{queries:,} x {gallery:,} x {dimensions:,}", timing, min(processor), reranked=100 * result.map,
        plain=100 * evaluate_ranking(query, images, *labels).map,
    )  # fmt: skip
    if not with_reference:
        return found
    expected, dense = measured(lambda: dense_rerank(query, images, K1, K2, LAMBDA))
    largest, apart, first = 0.0, 0, 0
    for block in rerank(query, images, K1, K2, LAMBDA).blocks():
        difference = np.abs(block - expected[first : first + len(block)])
        largest, apart = max(largest, float(difference.max())), apart + int((difference > CLOSE).sum())
        first += len(block)
    return replace(found, dense=dense, largest=largest, apart=apart / expected.size)


def section(found: list[Measured]) -> str:
    """Return the section of `docs/performance.md`."""
    threads = get_num_threads()
    lines = [
        "Written by `python -m benchmarks rerank --size full`; not edited by hand.",
        "",
        f"k1 {K1}, k2 {K2}, λ {LAMBDA}, on random but clustered features; the search of all neighbours and the",
        "scores of every row are included. *Extra* is the most memory beyond the features, the reference the field's",
        f"dense N×N algorithm in float32. Machine: {os.cpu_count()} cores ({platform.machine()}), of which ours used",
        f"{threads}; on a busy machine the processor seconds are the ones to compare.",
        "",
        "| queries × gallery × dimensions | seconds | processor s | extra GiB | reference, s | times faster "
        "| its extra GiB | largest difference | … above 1e-05 |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for one in found:
        cells = [one.size.replace("x", "×"), f"{one.ours.seconds:.1f}", f"{one.processor:.1f}",
                 f"{one.ours.extra_gib:.2f}"]  # fmt: skip
        if one.dense:
            cells += [f"{one.dense.seconds:.1f}", f"{one.dense.seconds / one.ours.seconds:.1f}",
                      f"{one.dense.extra_gib:.2f}", f"{one.largest:.0e}", f"{one.apart:.0e}"]  # fmt: skip
        else:
            cells += [""] * 5
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def dense_rerank(query: Matrix, gallery: Matrix, k1: int, k2: int, lambda_value: float) -> Matrix:
    """Compute Zhong et al.'s distances with N x N matrices in float32, as the field's evaluators do."""
    features = np.concatenate([query, gallery])
    n, queries = len(features), len(query)
    lengths = (features * features).sum(axis=1)
    relative = features @ features.T
    relative *= -2
    relative += lengths[:, None]
    relative += lengths
    np.maximum(relative, 0, out=relative)
    relative /= relative.max(axis=1, keepdims=True)
    ranked = np.argsort(relative, axis=1, kind="stable").astype(np.int32)[:, : max(k1 + 1, k2)].copy()

    def reciprocal(i: int, k: int) -> NDArray[np.int32]:
        forward = ranked[i, : k + 1]
        found: NDArray[np.int32] = forward[(ranked[forward, : k + 1] == i).any(axis=1)]
        return found

    weights = np.zeros((n, n), np.float32)
    for i in range(n):
        own = members = reciprocal(i, k1)
        for candidate in own:
            half = reciprocal(candidate, int(np.around(k1 / 2)))
            if len(np.intersect1d(half, own)) > 2 / 3 * len(half):
                members = np.append(members, half)
        members = np.unique(members)
        raw = np.exp(-relative[i, members])
        weights[i, members] = raw / raw.sum()
    relative = relative[:queries].copy()
    if k2 > 1:
        expanded = np.empty_like(weights)
        for i in range(n):
            expanded[i] = weights[ranked[i, :k2]].mean(axis=0)
        weights = expanded
    holders = [np.flatnonzero(weights[:, column]) for column in range(n)]
    jaccard = np.empty((queries, n), np.float32)
    for i in range(queries):
        overlap = np.zeros(n, np.float32)
        for column in np.flatnonzero(weights[i]):
            overlap[holders[column]] += np.minimum(weights[i, column], weights[holders[column], column])
        jaccard[i] = 1 - overlap / (2 - overlap)
    found: Matrix = (lambda_value * relative + (1 - lambda_value) * jaccard)[:, queries:]
    return found
