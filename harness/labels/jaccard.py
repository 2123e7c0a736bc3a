"""k-reciprocal Jaccard distance (Zhong et al., CVPR 2017), as the unsupervised re-identification methods use it.

With R(i, k) the k nearest neighbours of image i, itself included, and h = round(k1 / 2) to even:

1. reciprocal set    K(i) = {j in R(i, k1): i in R(j, k1)}, and H(c) the same with h + 1 in place of k1;
2. expansion         E(i) = K(i) + all H(c) of c in K(i) with |H(c) & K(i)| > 2/3 |H(c)|   (their eq. 5);
3. weights           V(i, j) = exp(-d(i, j)^2) / sum over E(i), for j in E(i)                (eq. 7);
4. query expansion   V'(i) = mean of V(p) over p in R(i, k2)                                 (eq. 11);
5. distance          D(i, j) = 1 - S / (2 - S), S = sum over k of min(V'(i, k), V'(j, k))   (eq. 10).

The re-ranking code of that paper, which MMT and SSKD took over, differs in steps 1 and 3: R(i, k1) is the image and k1
others, and V(i, j) = exp(-d(i, j)^2 / max over all images k of d(i, k)^2), over their sum.

All rows are sparse, so time and memory grow with N times the neighbourhood, not with N squared; only that maximum takes
a product of all pairs, in blocks.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numba import get_num_threads
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from harness.errors import UserError
from harness.labels import jaccard_kernels as kernels
from harness.labels.neighbours import Neighbours, check_normalized, nearest_and_farthest, nearest_neighbours
from harness.matrix import Matrix, as_matrix

T = TypeVar("T")
Rows = tuple[NDArray[np.int64], NDArray[np.int32], Matrix]

# Rows that a thread works on at a time.
CHUNK = 512
# More than the additions of a row in float32 can lose.
ROUNDING = 1e-3
# Squared distances up to this are the rounding errors of images that are alike: nothing to divide by.
ALIKE = 1e-5


def jaccard_distance(
    features: Any, k1: int, k2: int, max_distance: float, *, neighbours: Neighbours | None = None
) -> csr_matrix:
    """Return the Jaccard distances <= `max_distance` between the rows of `features` [N, d] as float32 CSR.

    The rows must be L2-normalized. The result is symmetric, its column indices ascend, and a distance of zero is
    stored explicitly; the diagonal is within 1e-6 of zero. What is not stored is farther than `max_distance`. Pairs
    without any common neighbour, whose distance is exactly 1, are never stored. k1 is clamped to N. `neighbours` (at
    least k1 columns), where given, replaces the exact search. Raises UserError for NaN, zero-norm or not normalized
    rows, for neighbours that do not fit, and for k1 or k2 < 1.
    """
    matrix, near = _checked(features, k1, k2, k1, neighbours)
    return distances_of(expand(weigh(matrix, near), near.indices, k2), max_distance)


def reranking_jaccard_distance(
    features: Any,
    k1: int,
    k2: int,
    max_distance: float,
    *,
    neighbours: Neighbours | None = None,
    farthest: Matrix | None = None,
) -> csr_matrix:
    """Return the Jaccard distances of the re-ranking code (Zhong et al., CVPR 2017) as `jaccard_distance` returns its.

    k1 counts the neighbours besides the image itself, so `neighbours` needs k1 + 1 columns. `farthest` [N] float32,
    where given, replaces the search for each image's largest squared distance (`farthest_distances`). Raises UserError
    for k2 > k1 + 1, too.
    """
    if k1 >= 1 and k2 > k1 + 1:
        raise UserError(f"k2 looks at {k2} neighbours, but k1 = {k1} finds {k1 + 1}, the image itself among them")
    matrix, near = _checked(features, k1, k2, k1 + 1, neighbours)
    if farthest is None:
        farthest = farthest_distances(features)
    return distances_of(expand(weigh(matrix, near, half_of(k1), farthest), near.indices, k2), max_distance)


def farthest_distances(features: Any) -> Matrix:
    """Return the squared distance of each L2-normalized row of `features` [N, d] to the farthest of all: float32 [N].

    1 where all images are alike, so that it can be divided by.
    """
    matrix, far = as_matrix(features, "features"), nearest_and_farthest(features, 1)[1]
    parts = (slice(first, first + CHUNK) for first in range(0, len(matrix), CHUNK))
    farthest = 2 - 2 * np.concatenate([np.einsum("nd,nd->n", matrix[rows], matrix[far[rows]]) for rows in parts])
    return np.where(farthest > ALIKE, farthest, np.float32(1))


def _checked(features: Any, k1: int, k2: int, wanted: int, neighbours: Neighbours | None) -> tuple[Matrix, Neighbours]:
    """The features on the host, and their first `wanted` neighbours."""
    if k1 < 1 or k2 < 1:
        raise UserError(f"k1 and k2 must be at least 1, not {k1} and {k2}")
    matrix = as_matrix(features, "features")
    if neighbours is None:
        neighbours = nearest_neighbours(features, wanted)
    else:
        check_normalized(matrix)
    found, columns = neighbours.indices.shape
    if found != len(matrix) or columns < min(wanted, found):
        raise UserError(
            f"{columns} neighbours of {found} images do not fit features of {len(matrix)} images and k1 = {k1}"
        )
    indices, similarities = neighbours.indices[:, :wanted], neighbours.similarities[:, :wanted]
    return matrix, Neighbours(indices, similarities, neighbours.search, neighbours.recall)


def half_of(k1: int) -> int:
    """The neighbours that make the half sets, itself included; Python, like NumPy, rounds halves to even."""
    return round(k1 / 2) + 1


def weigh(features: Matrix, neighbours: Neighbours, half: int | None = None, farthest: Matrix | None = None) -> Rows:
    """Steps 1 to 3: the expanded k-reciprocal sets, ascending, and their weights.

    `half` columns make the half sets (those of step 1 by default); squared distances are divided by `farthest` [N] (1).
    """
    ranked = neighbours.indices
    n, k1 = ranked.shape
    half = min(half or half_of(k1), k1)
    scale = np.ones(n, np.float32) if farthest is None else farthest
    start, columns = expanded_sets(ranked, half)
    weights = np.empty(len(columns), np.float32)
    # Images with a common neighbour one after the other: the features they are compared with are still in the cache.
    order = np.argsort(ranked[:, :half].min(axis=1), kind="stable")
    in_chunks(kernels.weigh_rows, n, order, start, columns, weights, features, ranked, neighbours.similarities, scale)
    return start, columns, weights


def expanded_sets(ranked: NDArray[np.int32], half: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Steps 1 and 2: where each row's set starts, and all sets, ascending; `half` columns make the half sets."""
    n, k1 = ranked.shape
    sets = [array for k in (k1, half) for array in (np.empty((n, k), np.int32), np.empty(n, np.int32))]
    in_chunks(kernels.reciprocal_rows, n, ranked, *sets)
    start, columns = joined(in_chunks(kernels.expanded_sets, n, *sets))
    return start, columns


def expand(rows: Rows, ranked: NDArray[np.int32], k2: int) -> Rows:
    """Step 4: query expansion; nothing to do for k2 = 1."""
    return rows if k2 == 1 else joined(in_chunks(kernels.expand_rows, len(ranked), *rows, ranked[:, :k2]))


def distances_of(rows: Rows, max_distance: float) -> csr_matrix:
    """Step 5: the distances between all rows that share a column, if at most `max_distance`."""
    n = len(rows[0]) - 1
    reach = min(max_distance, 1)
    least = 2 * (1 - reach) / (2 - reach) - ROUNDING  # S, where D is the reach
    lists = kernels.invert(*rows)
    upper = joined(in_chunks(kernels.overlap_rows, n, *rows, *lists, np.float32(max_distance), np.float32(least)))
    start, indices, distances = kernels.both_halves(*upper)
    return csr_matrix((distances, indices, start), shape=(n, n))


def in_chunks(kernel: Callable[..., T], n: int, *arguments: Any) -> list[T]:
    """Run `kernel(first, last, *arguments)`, which makes rows first:last, over all n rows on all threads."""
    with ThreadPoolExecutor(get_num_threads()) as pool:
        jobs = [pool.submit(kernel, first, min(first + CHUNK, n), *arguments) for first in range(0, n, CHUNK)]
        return [job.result() for job in jobs]


def joined(chunks: list[tuple[Any, ...]]) -> Any:
    """Make one sparse matrix of chunks (sizes of rows, their entries ...): where rows start, and all entries."""
    sizes, *entries = zip(*chunks, strict=True)
    start = np.concatenate([[0], np.cumsum(np.concatenate(sizes))])
    return start, *(np.concatenate(parts) for parts in entries)
