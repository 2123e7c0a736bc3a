"""k-reciprocal Jaccard distance (Zhong et al., CVPR 2017), as the unsupervised re-identification methods use it.

With R(i, k) the k nearest neighbours of image i, itself included, and h = round(k1 / 2) to even:

1. reciprocal set    K(i) = {j in R(i, k1): i in R(j, k1)}, and H(c) the same with h + 1 in place of k1;
2. expansion         E(i) = K(i) + all H(c) of c in K(i) with |H(c) & K(i)| > 2/3 |H(c)|   (their eq. 5);
3. weights           V(i, j) = exp(-d(i, j)^2) / sum over E(i), for j in E(i)                (eq. 7);
4. query expansion   V'(i) = mean of V(p) over p in R(i, k2)                                 (eq. 11);
5. distance          D(i, j) = 1 - S / (2 - S), S = sum over k of min(V'(i, k), V'(j, k))   (eq. 10).

All rows are sparse, so time and memory grow with N times the neighbourhood, not with N squared.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numba import get_num_threads, njit
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from harness.errors import UserError
from harness.features import Matrix, as_matrix
from harness.labels.neighbours import Neighbours, nearest_neighbours

Rows = tuple[NDArray[np.int64], NDArray[np.int32], Matrix]

# Rows that a thread works on at a time.
CHUNK = 512


def jaccard_distance(
    features: Any, k1: int, k2: int, max_distance: float, *, neighbours: Neighbours | None = None
) -> csr_matrix:
    """Return the Jaccard distances <= `max_distance` between the rows of `features` [N, d] as float32 CSR.

    The rows must be L2-normalised. The result is symmetric, its column indices ascend, and a distance of zero is
    stored explicitly; the diagonal is within 1e-6 of zero. What is not stored is farther than `max_distance`. Pairs
    without any common neighbour, whose distance is exactly 1, are never stored. k1 is clamped to N. `neighbours` (at
    least k1 columns), where given, replaces the exact search. Raises UserError for NaN, zero-norm or not normalised
    rows and for k1 or k2 < 1.
    """
    if k1 < 1 or k2 < 1:
        raise UserError(f"k1 and k2 must be at least 1, not {k1} and {k2}")
    if neighbours is None:
        neighbours = nearest_neighbours(features, k1)
    matrix = as_matrix(features, "features")
    if len(neighbours.indices) != len(matrix):
        raise UserError(f"neighbours of {len(neighbours.indices)} images for features of {len(matrix)}")
    near = Neighbours(neighbours.indices[:, :k1], neighbours.similarities[:, :k1], neighbours.search, neighbours.recall)
    return distances_of(expand(weigh(matrix, near), near.indices, k2), max_distance)


def weigh(features: Matrix, neighbours: Neighbours) -> Rows:
    """Steps 1 to 3: the expanded k-reciprocal sets, ascending, and their weights."""
    ranked = neighbours.indices
    half = round(ranked.shape[1] / 2) + 1  # Python, like NumPy, rounds halves to even
    sets = *_reciprocal(ranked, ranked.shape[1]), *_reciprocal(ranked, half)
    return _in_chunks(_weigh, len(features), features, ranked, neighbours.similarities, *sets)


def expand(rows: Rows, ranked: NDArray[np.int32], k2: int) -> Rows:
    """Step 4: query expansion; nothing to do for k2 = 1."""
    return rows if k2 == 1 else _in_chunks(_expand, len(ranked), *rows, ranked[:, :k2])


def distances_of(rows: Rows, max_distance: float) -> csr_matrix:
    """Step 5: the distances between all rows that share a column, if at most `max_distance`."""
    start, columns, weights = rows
    shape = len(start) - 1, len(start) - 1
    inverted = csr_matrix((weights, columns, start), shape=shape).tocsc()
    lists = inverted.indptr.astype(np.int64), inverted.indices, inverted.data
    sizes, indices, distances = _in_chunks(_overlap, shape[0], *rows, *lists, np.float32(max_distance))
    return csr_matrix((distances, indices, sizes), shape=shape)


def _in_chunks(kernel: Callable[..., Rows], n: int, *arguments: Any) -> Rows:
    """Run `kernel(first, last, *arguments)`, which makes sparse rows first:last, over all n rows on all threads."""
    with ThreadPoolExecutor(get_num_threads()) as pool:
        jobs = [pool.submit(kernel, first, min(first + CHUNK, n), *arguments) for first in range(0, n, CHUNK)]
        sizes, indices, values = zip(*(job.result() for job in jobs), strict=True)
    start = np.concatenate([[0], np.cumsum(np.concatenate(sizes))])
    return start, np.concatenate(indices), np.concatenate(values)


@njit(cache=True)
def _reciprocal(ranked, k):  # type: ignore[no-untyped-def]
    """Step 1: the first k neighbours that also have the image among their first k, ascending, padded; their number."""
    n = ranked.shape[0]
    k = min(k, ranked.shape[1])
    sets, sizes = np.empty((n, k), np.int32), np.zeros(n, np.int32)
    for i in range(n):
        for a in range(k):
            j = ranked[i, a]
            for b in range(k):
                if ranked[j, b] == i:
                    sets[i, sizes[i]] = j
                    sizes[i] += 1
                    break
        _sort(sets[i, : sizes[i]])
    return sets, sizes


@njit(cache=True, nogil=True)
def _weigh(first, last, features, ranked, similarities, reciprocal, reciprocal_size, core, core_size):  # type: ignore[no-untyped-def]
    """Steps 2 and 3: the expanded sets and their weights, a softmax over each set in float32."""
    members = np.empty(reciprocal.shape[1] * (core.shape[1] + 1), np.int32)
    # Marked with i: what row i is known to hold. A look-up without a branch, where merging sorted lists has many.
    owned, seen = np.full(features.shape[0], -1, np.int32), np.full(features.shape[0], -1, np.int32)
    near, rank = np.full(features.shape[0], -1, np.int32), np.empty(features.shape[0], np.int32)
    sizes = np.empty(last - first, np.int64)
    indices, values = np.empty(64 * (last - first), np.int32), np.empty(64 * (last - first), np.float32)
    end = 0
    for i in range(first, last):
        for k in range(ranked.shape[1]):
            near[ranked[i, k]] = i
            rank[ranked[i, k]] = k
        own = reciprocal[i, : reciprocal_size[i]]
        size = _add_unseen(own, i, seen, members, 0)
        for candidate in own:
            owned[candidate] = i
        for candidate in own:
            other = core[candidate, : core_size[candidate]]
            common = 0
            for image in other:
                common += owned[image] == i
            if 3 * common > 2 * other.shape[0]:
                size = _add_unseen(other, i, seen, members, size)
        _sort(members[:size])
        if end + size > indices.shape[0]:
            indices, values = _grown(indices, end + size), _grown(values, end + size)
        weights = values[end : end + size]
        for m in range(size):
            j = members[m]
            similarity = similarities[i, rank[j]] if near[j] == i else _similarity(j, i, features, ranked, similarities)
            weights[m] = np.float32(2) * similarity - np.float32(2)
        _softmax(weights)
        for m in range(size):
            indices[end + m] = members[m]
        sizes[i - first] = size
        end += size
    return sizes, indices[:end].copy(), values[:end].copy()


@njit(cache=True, nogil=True)
def _add_unseen(images, stamp, seen, members, size):  # type: ignore[no-untyped-def]
    for image in images:
        if seen[image] != stamp:
            seen[image] = stamp
            members[size] = image
            size += 1
    return size


@njit(cache=True, nogil=True)
def _grown(array, least):  # type: ignore[no-untyped-def]
    larger = np.empty(max(2 * array.shape[0], least), array.dtype)
    for k in range(array.shape[0]):  # an assignment of slices takes a second longer to compile
        larger[k] = array[k]
    return larger


@njit(cache=True, nogil=True)
def _sort(values):  # type: ignore[no-untyped-def]
    """Shell sort with Ciura's gaps: as fast as NumPy's on some hundred integers, and quick to compile."""
    for gap in (301, 132, 57, 23, 10, 4, 1):
        for k in range(gap, values.shape[0]):
            value, place = values[k], k
            while place >= gap and values[place - gap] > value:
                values[place] = values[place - gap]
                place -= gap
            values[place] = value


@njit(cache=True, nogil=True)
def _similarity(i, j, features, ranked, similarities):  # type: ignore[no-untyped-def]
    """The inner product of rows i and j, looked up if j is a neighbour of i."""
    for k in range(ranked.shape[1]):
        if ranked[i, k] == j:
            return similarities[i, k]
    return _dot(features[i], features[j])


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _dot(a, b):  # type: ignore[no-untyped-def]
    total = np.float32(0)
    for k in range(a.shape[0]):
        total += a[k] * b[k]
    return total


@njit(cache=True, nogil=True)
def _softmax(values):  # type: ignore[no-untyped-def]
    largest, total = np.float32(-np.inf), np.float32(0)
    for k in range(values.shape[0]):
        largest = max(largest, values[k])
    for k in range(values.shape[0]):
        values[k] = np.exp(values[k] - largest)
        total += values[k]
    for k in range(values.shape[0]):
        values[k] /= total


@njit(cache=True, nogil=True)
def _expand(first, last, start, columns, weights, ranked):  # type: ignore[no-untyped-def]
    """Step 4: each row becomes the mean of its first neighbours' rows, added in rank order."""
    total = np.zeros(start.shape[0] - 1, np.float32)
    touched = np.empty(start.shape[0] - 1, np.int32)
    sizes = np.empty(last - first, np.int64)
    indices, values = np.empty(256 * (last - first), np.int32), np.empty(256 * (last - first), np.float32)
    end = 0
    for i in range(first, last):
        size = 0
        for p in ranked[i]:
            for e in range(start[p], start[p + 1]):
                column = columns[e]
                if total[column] == 0:
                    touched[size] = column
                    size += 1
                total[column] += weights[e]
        _sort(touched[:size])
        if end + size > indices.shape[0]:
            indices, values = _grown(indices, end + size), _grown(values, end + size)
        for t in range(size):
            indices[end + t] = touched[t]
            values[end + t] = total[touched[t]] / np.float32(ranked.shape[1])
            total[touched[t]] = 0
        sizes[i - first] = size
        end += size
    return sizes, indices[:end].copy(), values[:end].copy()


@njit(cache=True, nogil=True)
def _overlap(first, last, start, columns, weights, column_start, members, shares, max_distance):  # type: ignore[no-untyped-def]
    """Step 5: the overlap with every image that shares a column, summed in ascending column order, pruned at once."""
    overlap = np.zeros(start.shape[0] - 1, np.float32)
    touched = np.empty(start.shape[0], np.int32)
    sizes = np.empty(last - first, np.int64)
    indices, values = np.empty(32 * (last - first), np.int32), np.empty(32 * (last - first), np.float32)
    end = 0
    for i in range(first, last):
        size = 0
        for e in range(start[i], start[i + 1]):
            weight = weights[e]
            for m in range(column_start[columns[e]], column_start[columns[e] + 1]):
                j, share = members[m], shares[m]
                before = overlap[j]
                touched[size] = j
                size += before == 0  # without a branch, which would be mispredicted
                overlap[j] = before + (weight if weight < share else share)
        near = 0
        for t in range(size):
            j = touched[t]
            if _distance(overlap[j]) <= max_distance:
                touched[near] = j
                near += 1
            else:
                overlap[j] = 0
        _sort(touched[:near])
        if end + near > indices.shape[0]:
            indices, values = _grown(indices, end + near), _grown(values, end + near)
        for t in range(near):
            indices[end + t] = touched[t]
            values[end + t] = _distance(overlap[touched[t]])
            overlap[touched[t]] = 0
        sizes[i - first] = near
        end += near
    return sizes, indices[:end].copy(), values[:end].copy()


@njit(cache=True, nogil=True)
def _distance(overlap):  # type: ignore[no-untyped-def]
    return max(np.float32(1) - overlap / (np.float32(2) - overlap), np.float32(0))
