"""Pseudo-labels: `nearest_neighbours`, `jaccard_distance` and `cluster` against the dense N x N algorithm of the
field.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import DBSCAN

from benchmarks.faiss_there import faiss_seconds
from benchmarks.features import DIMENSIONS, IMAGES_PER_IDENTITY, clustered
from benchmarks.measure import Outcome, measured
from benchmarks.training import peak_gib
from harness.labels import cluster, jaccard_distance, nearest_neighbours

SIZES = {"small": 3_000, "market1501": 12_936, "msmt17": 32_621, "65k": 65_242, "131k": 131_072}
K1, K2, EPS, MIN_SAMPLES = 30, 6, 0.6, 4
STRIP, COLUMNS = 1024, 16384
HALF = "half the bare product"

Matrix = NDArray[np.float32]


def run(size: str, repeats: int, with_reference: bool) -> Iterator[Outcome]:
    """Yield the outcomes at a named size."""
    yield from outcomes(SIZES[size], repeats, with_reference)


def outcomes(n: int, repeats: int, with_reference: bool) -> Iterator[Outcome]:
    """Yield the outcomes of the neighbours, of what follows them, and of the whole."""
    features, _ = clustered(n, n // IMAGES_PER_IDENTITY, seed=1)
    cluster(jaccard_distance(features[:300], K1, K2, EPS), EPS, MIN_SAMPLES)

    _, product = measured(lambda: half_product(features), repeats)
    near, search = measured(lambda: nearest_neighbours(features, K1), repeats)
    distance, jaccard = measured(lambda: jaccard_distance(features, K1, K2, EPS, neighbours=near), max(repeats, 3))
    labels, dbscan = measured(lambda: cluster(distance, EPS, MIN_SAMPLES), max(repeats, 3))
    after = jaccard.seconds + dbscan.seconds
    total = search.seconds + after
    extra = max(search.extra_gib, jaccard.extra_gib)
    found = f"{labels.max() + 1} clusters, {(labels < 0).mean():.1%} outliers, {distance.nnz / n:.0f} entries a row"
    if not with_reference:
        yield Outcome(
            "jaccard neighbours", f"{n:,}", search.seconds, search.extra_gib, limit_s=product.seconds, limit=HALF
        )
        yield Outcome("jaccard after neighbours", f"{n:,}", after, jaccard.extra_gib)
        yield Outcome("jaccard total", f"{n:,}", total, extra, limit_s=product.seconds, limit=HALF, agreement=found)
        return
    ranked, sort = measured(lambda: dense_neighbours(features, K1))
    dense, slow = measured(lambda: dense_jaccard(features, ranked, K2))
    expected, slow_dbscan = measured(lambda: DBSCAN(eps=EPS, min_samples=MIN_SAMPLES, metric="precomputed").fit(dense))
    rows = np.repeat(np.arange(n), np.diff(distance.indptr))
    difference = np.abs(dense[rows, distance.indices] - distance.data).max()
    agreement = (
        f"distances off by at most {difference:.0e},"
        f" labels {'identical' if (expected.labels_ == labels).all() else 'DIFFER'}; {found}"
    )
    for name, seconds, gib, reference, reference_gib, limit in (
        ("neighbours", search.seconds, search.extra_gib, sort.seconds, sort.extra_gib, product.seconds),
        ("after neighbours", after, jaccard.extra_gib, slow.seconds + slow_dbscan.seconds, slow.extra_gib, None),
        (
            "total",
            total,
            extra,
            sort.seconds + slow.seconds + slow_dbscan.seconds,
            slow.extra_gib + slow_dbscan.extra_gib,
            product.seconds,
        ),
    ):
        yield Outcome(
            f"jaccard {name}",
            f"{n:,}",
            seconds,
            gib,
            reference="the dense algorithm",
            reference_s=reference,
            reference_extra_gib=reference_gib,
            limit_s=limit,
            limit=HALF,
            agreement=agreement if name == "total" else "",
        )


def on_gpu(n: int, device: torch.device, dimensions: int = DIMENSIONS) -> Iterator[Outcome]:
    """Yield the pseudo-labels of features that are on a GPU: their neighbours there, by us and by faiss, and the rest.

    Once each: a million images take their time.
    """
    features, _ = clustered(n, n // IMAGES_PER_IDENTITY, 1, dimensions)
    placed = torch.from_numpy(features).to(device)
    nearest_neighbours(placed[:2_000], K1)  # choose algorithms
    cluster(jaccard_distance(features[:300], K1, K2, EPS), EPS, MIN_SAMPLES)
    peak_gib(device)
    near, search = measured(lambda: nearest_neighbours(placed, K1))
    gib = peak_gib(device) or search.extra_gib
    distance, jaccard = measured(lambda: jaccard_distance(features, K1, K2, EPS, neighbours=near))
    labels, dbscan = measured(lambda: cluster(distance, EPS, MIN_SAMPLES))
    theirs = faiss_seconds(placed, placed, K1)
    yield Outcome(
        f"jaccard neighbours on {device.type}", f"{n:,}", search.seconds, gib,
        reference="faiss there" if theirs else "", reference_s=theirs, agreement=near.search,
    )  # fmt: skip
    after = jaccard.seconds + dbscan.seconds
    found = f"{labels.max() + 1} clusters, {(labels < 0).mean():.1%} outliers"
    yield Outcome("jaccard after neighbours", f"{n:,}", after, jaccard.extra_gib)
    yield Outcome(f"jaccard total on {device.type}", f"{n:,}", search.seconds + after, gib, agreement=found)


def half_product(features: Matrix) -> None:
    """Compute the upper half of the similarity matrix in strips, without keeping it: the lower bound."""
    buffer = np.empty(STRIP * min(COLUMNS, len(features)), np.float32)
    for top in range(0, len(features), STRIP):
        rows = features[top : top + STRIP]
        for left in range(top, len(features), COLUMNS):
            columns = features[left : left + COLUMNS]
            np.matmul(rows, columns.T, out=buffer[: len(rows) * len(columns)].reshape(len(rows), len(columns)))


def dense_neighbours(features: Matrix, k: int) -> NDArray[np.int64]:
    """Search by the full product and a partial sort of every row: the reference."""
    ranked = np.empty((len(features), k), np.int64)
    for top in range(0, len(features), STRIP):
        strip = features[top : top + STRIP] @ features.T
        found = np.argpartition(-strip, k - 1, axis=1)[:, :k]
        order = np.argsort(-np.take_along_axis(strip, found, axis=1), axis=1, kind="stable")
        ranked[top : top + STRIP] = np.take_along_axis(found, order, axis=1)
    return ranked


def dense_jaccard(features: Matrix, ranked: NDArray[np.int64], k2: int) -> Matrix:
    """Compute Zhong et al.'s distance with N x N matrices, as published unsupervised methods do."""
    n, k1 = ranked.shape
    weights = _dense_weights(features, ranked, k1)
    if k2 > 1:
        expanded = np.empty_like(weights)
        for i in range(n):
            expanded[i] = weights[ranked[i, :k2]].mean(axis=0)
        weights = expanded
    holders: list[Any] = [np.flatnonzero(weights[:, column]) for column in range(n)]
    distance = np.empty((n, n), np.float32)
    for i in range(n):
        overlap = np.zeros(n, np.float32)
        for column in np.flatnonzero(weights[i]):
            images = holders[column]
            overlap[images] += np.minimum(weights[i, column], weights[images, column])
        distance[i] = 1 - overlap / (2 - overlap)
    return np.maximum(distance, 0, out=distance)


def _dense_weights(features: Matrix, ranked: NDArray[np.int64], k1: int) -> Matrix:
    def reciprocal(i: int, k: int) -> NDArray[np.int64]:
        forward = ranked[i, :k]
        found: NDArray[np.int64] = forward[(ranked[forward, :k] == i).any(axis=1)]
        return found

    n, half = len(ranked), round(k1 / 2) + 1
    core = [reciprocal(i, half) for i in range(n)]
    weights = np.zeros((n, n), np.float32)
    for i in range(n):
        own = members = reciprocal(i, k1)
        for candidate in own:
            if len(np.intersect1d(core[candidate], own)) > 2 / 3 * len(core[candidate]):
                members = np.append(members, core[candidate])
        members = np.unique(members)
        raw = np.exp(2 * (features[members] @ features[i]) - 2)
        weights[i, members] = raw / raw.sum()
    return weights
