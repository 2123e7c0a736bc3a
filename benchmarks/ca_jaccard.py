"""Camera-aware Jaccard distance against the dense N x N algorithm of its release, which asks for 400 GB to re-rank."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from benchmarks.features import IMAGES_PER_IDENTITY, cameras, clustered
from benchmarks.jaccard import HALF, half_product
from benchmarks.measure import Outcome, measured
from harness.labels import ca_jaccard_distance
from harness.labels.camera_neighbours import neighbours_by_camera

SIZES = {"small": 3_000, "market1501": 12_936, "veri776-rerank": 13_257, "msmt17": 32_621, "msmt17-rerank": 93_820}
"""Training images, or queries and gallery together."""
K = (5, 20, 2, 4)
REACH = 0.6

Matrix = NDArray[np.float32]


def run(size: str, repeats: int, with_reference: bool) -> Iterator[Outcome]:
    """Yield the outcomes at a named size: the search, and what follows it."""
    n = SIZES[size]
    features, _ = clustered(n, n // IMAGES_PER_IDENTITY, seed=1)
    camera = cameras(n, seed=1)
    ca_jaccard_distance(features[:300], camera[:300], *K, REACH)
    _, product = measured(lambda: half_product(features), repeats)
    near, search = measured(lambda: neighbours_by_camera(features, camera, K[0] + 1, K[1] + 1), repeats)
    distance, rest = measured(lambda: ca_jaccard_distance(features, camera, *K, REACH, neighbours=near), repeats)
    yield Outcome(
        "ca-jaccard neighbours", f"{n:,}", search.seconds, search.extra_gib, limit_s=product.seconds, limit=HALF
    )
    found = f"{distance.nnz / n:.0f} entries a row; features {features.nbytes / 2**30:.2f} GiB"
    if not with_reference:
        yield Outcome("ca-jaccard after them", f"{n:,}", rest.seconds, rest.extra_gib, agreement=found)
        return
    dense, slow = measured(lambda: dense_ca_jaccard(features, camera, *K))
    rows = np.repeat(np.arange(n), np.diff(distance.indptr))
    difference = np.abs(dense[rows, distance.indices] - distance.data).max()
    missed = (dense <= REACH - 1e-6).sum() > distance.nnz
    yield Outcome(
        "ca-jaccard after them", f"{n:,}", rest.seconds, rest.extra_gib,
        reference="the dense algorithm, search included", reference_s=slow.seconds, reference_extra_gib=slow.extra_gib,
        agreement=f"distances off by at most {difference:.0e}{', SOME MISSED' if missed else ''}; {found}",
    )  # fmt: skip


def dense_ca_jaccard(
    features: Matrix, camera: NDArray[np.int64], k1_intra: int, k1_inter: int, k2_intra: int, k2_inter: int
) -> Matrix:
    """Compute Chen et al.'s distance with N x N matrices."""
    n = len(features)
    squared = 2 - 2 * (features @ features.T)
    same = camera[:, None] == camera
    intra = np.argsort(np.where(same, squared, np.inf), axis=1, kind="stable")[:, : k1_intra + 1]
    inter = np.argsort(np.where(same, np.inf, squared), axis=1, kind="stable")[:, : k1_inter + 1]
    weights = np.zeros((n, n), np.float32)
    for i in range(n):
        mutual = np.concatenate([ranked[i][(ranked[ranked[i]] == i).any(1)] for ranked in (intra, inter)])
        raw = np.exp(-squared[i, mutual])
        weights[i, mutual] = raw / raw.sum()
    expanded = np.empty_like(weights)
    for i in range(n):
        expanded[i] = weights[np.concatenate([intra[i, :k2_intra], inter[i, :k2_inter]])].mean(0)
    holders = [np.flatnonzero(column) for column in expanded.T]
    distance = np.empty((n, n), np.float32)
    for i in range(n):
        overlap = np.zeros(n, np.float32)
        for column in np.flatnonzero(expanded[i]):
            images = holders[column]
            overlap[images] += np.minimum(expanded[i, column], expanded[images, column])
        distance[i] = 1 - overlap / (2 - overlap)
    return np.maximum(distance, 0, out=distance)
