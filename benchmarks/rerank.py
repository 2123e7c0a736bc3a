"""Re-ranking: `rerank` and the scores of what it returns, against the dense N x N algorithm of the field."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from benchmarks.features import DIMENSIONS, IMAGES_PER_IDENTITY, cameras, clustered
from benchmarks.jaccard import half_product
from benchmarks.measure import Outcome, measured
from harness.evaluation import RankingResult, evaluate_distances, evaluate_ranking, rerank

SIZES = {
    "small": (500, 2_500),
    "market1501": (3_368, 15_913),
    "market1501-500k": (3_368, 515_913),
    "msmt17": (11_659, 82_161),
}
K1, K2, LAMBDA = 20, 6, 0.3
DENSE = 25_000
"""Images that the dense algorithm is asked to re-rank at most: its matrices take 40 bytes for each pair of them."""

Matrix = NDArray[np.float32]


def run(size: str, repeats: int, with_reference: bool) -> Iterator[Outcome]:
    """Yield the outcomes at a named size."""
    queries, gallery = SIZES[size]
    yield from outcomes(queries, gallery, repeats, with_reference and queries + gallery <= DENSE)


def outcomes(queries: int, gallery: int, repeats: int, with_reference: bool) -> Iterator[Outcome]:
    """Yield the outcome: the search, the re-ranking and the scores of all its rows, which never exist at once."""
    identities = gallery // IMAGES_PER_IDENTITY
    (query, query_ids), (images, gallery_ids) = (
        clustered(count, identities, seed, DIMENSIONS) for count, seed in ((queries, 1), (gallery, 2))
    )
    labels = query_ids, gallery_ids, cameras(queries, 3), cameras(gallery, 4)
    warm = rerank(query[:50], images[:200])
    evaluate_distances(warm, *(part[:size] for part, size in zip(labels, (50, 200, 50, 200), strict=True)))

    def ours() -> RankingResult:
        return evaluate_distances(rerank(query, images, K1, K2, LAMBDA), *labels)

    _, product = measured(lambda: half_product(np.concatenate([query, images])), repeats)
    result, timing = measured(ours, repeats)
    plain = evaluate_ranking(query, images, *labels)
    said = f"mAP {100 * plain.map:.2f}, re-ranked {100 * result.map:.2f}"
    if not with_reference:
        yield Outcome(
            "rerank", f"{queries:,} x {gallery:,}", timing.seconds, timing.extra_gib,
            limit_s=product.seconds, limit="half the bare product", agreement=said,
        )  # fmt: skip
        return
    expected, dense = measured(lambda: dense_rerank(query, images, K1, K2, LAMBDA))
    scored = evaluate_distances(expected, *labels)
    most, off, first = 0.0, 0, 0
    for block in rerank(query, images, K1, K2, LAMBDA).blocks():
        difference = np.abs(block - expected[first : first + len(block)])
        most, off, first = max(most, float(difference.max())), off + int((difference > 1e-5).sum()), first + len(block)
    yield Outcome(
        "rerank", f"{queries:,} x {gallery:,}", timing.seconds, timing.extra_gib,
        reference="the dense algorithm", reference_s=dense.seconds, reference_extra_gib=dense.extra_gib,
        limit_s=product.seconds, limit="half the bare product",
        agreement=f"{said}; distances off by at most {most:.0e}, {off / expected.size:.1e} of them by more than 1e-05, "
        f"AP by {np.nanmax(np.abs(result.ap - scored.ap)):.0e}",
    )  # fmt: skip


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
