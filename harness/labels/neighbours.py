"""The k nearest neighbours of every image among all images, itself included, by cosine similarity.

Exact on the CPU: the matrix of similarities is symmetric, so each pair of row strips is multiplied once and read
twice, along its rows and along its columns; the matrix never exists whole. Exact on an accelerator: blocked product
and top-k. Above a size that the caller states: an approximate index (HNSW, Malkov and Yashunin, TPAMI 2020) with its
recall measured.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from harness.errors import UserError
from harness.evaluation.keys import index_of, ranking_keys
from harness.matrix import Matrix, as_matrix, row_norms

if TYPE_CHECKING:
    from torch import Tensor

# A tile of similarities: rows x columns x 4 bytes. Taller and wider is faster for the product, smaller stays in the
# cache.
TILE_ROWS = 1024
TILE_COLUMNS = 16384
# Values looked at together before any of them is looked at alone.
GROUP = 64
# Columns that a thread takes down the rows of a tile: whole memory pages, and their thresholds stay in the cache.
SPAN = 1024
# A norm this far from one is no rounding error, not even of float16.
NORM_TOLERANCE = 1e-2

# On a CPU, more images than this are searched by an approximate index: where that pays (docs/performance.md).
APPROXIMATE_ABOVE = 200_000

# Similarities at a time on a device; with their keys they take some 2 GB.
DEVICE_TILE = 2**26

# Two float32 products of the same rows may differ by so much.
ROUNDING = 1e-6
HNSW_LINKS = 32
HNSW_EXPLORE = 128
HNSW_CANDIDATES = 2  # as many as are wanted, before the exact products
RECALL_SAMPLE = 1000


@dataclass(frozen=True)
class Neighbours:
    """`indices` [N, k] int32 and `similarities` [N, k] float32, descending, ties by index; how they were searched."""

    indices: NDArray[np.int32]
    similarities: Matrix
    search: str
    recall: float


def nearest_neighbours(features: Any, k: int, *, approximate_above: int = APPROXIMATE_ABOVE) -> Neighbours:
    """Find the `k` images with the largest inner product for each row of `features` [N, d] (L2-normalized).

    k is clamped to N. With more than k identical images a row may not contain itself. `recall` is 1 for an exact
    search. With more than `approximate_above` images (by default APPROXIMATE_ABOVE; on a CPU) it is the share of true
    neighbours found, measured on a sample of 1,000 rows, and the result depends on the order in which several threads
    build the index. Raises UserError for NaN, zero-norm or not normalized rows and for k < 1.
    """
    if k < 1:
        raise UserError(f"k must be at least 1, not {k}")
    if getattr(getattr(features, "device", None), "type", "cpu") != "cpu":
        return search_on_device(features.detach().float(), min(k, len(features)))
    matrix = as_matrix(features, "features")
    check_normalized(matrix)
    k = min(k, len(matrix))
    if len(matrix) > approximate_above:
        return _approximate(matrix, k)
    return _exact(matrix, k)


def nearest_and_farthest(features: Any, k: int) -> tuple[Neighbours, NDArray[np.int32]]:
    """Find the `k` nearest rows of each row of `features` [N, d] by Euclidean distance, and the one farthest from it.

    Exact, for rows of any length. `similarities` are -d^2 / 2; the second result is the index of the farthest, [N].
    Raises UserError for rows with NaN or of norm zero.
    """
    if getattr(getattr(features, "device", None), "type", "cpu") != "cpu":
        return nearest_and_farthest_on_device(features.detach().float(), k)
    matrix = as_matrix(features, "features")
    n = len(matrix)
    half = row_norms(matrix, "features") ** 2 / 2
    lowest, farthest = np.full(n, np.inf, np.float32), np.zeros(n, np.int32)

    def look(tile: Matrix, top: int, left: int) -> None:
        _subtract(tile, half[top : top + len(tile)], half[left : left + tile.shape[1]])
        _lowest_of_rows(tile, top, left, lowest, farthest)
        _lowest_of_columns(tile, top, left, lowest, farthest)

    return _exact(matrix, k, look), farthest


def check_normalized(matrix: Matrix) -> None:
    """Raise UserError unless every row has length one, up to the rounding of float16."""
    off = np.abs(row_norms(matrix, "features") - 1)
    if off.max() > NORM_TOLERANCE:
        raise UserError(f"features: row {off.argmax()} is not L2-normalized (its norm is off by {off.max():.3g})")


def _exact(matrix: Matrix, k: int, look: Callable[[Matrix, int, int], None] | None = None) -> Neighbours:
    """The neighbours by tiles of the similarities; `look(tile, top, left)` sees each first, and may change it."""
    n = len(matrix)
    values, indices = np.full((n, k), -np.inf, np.float32), np.full((n, k), -1, np.int32)
    buffer = np.empty(min(n, TILE_ROWS) * min(n, TILE_COLUMNS), np.float32)
    for top in range(0, n, TILE_ROWS):
        rows = matrix[top : top + TILE_ROWS]
        for left in range(top, n, TILE_COLUMNS):
            columns = matrix[left : left + TILE_COLUMNS]
            tile = buffer[: len(rows) * len(columns)].reshape(len(rows), len(columns))
            np.matmul(rows, columns.T, out=tile)
            if look:
                look(tile, top, left)
            merge(tile, top, left, values, indices)
    return Neighbours(indices, values, search="exact", recall=1.0)


def merge(tile: Matrix, top: int, left: int, values: Matrix, indices: NDArray[np.int32]) -> None:
    """Read a tile of similarities of images from `top` and images from `left` (not before it) both ways, into their
    lists.
    """
    _merge_rows(tile, top, left, values, indices)
    # The square on the diagonal holds both directions already.
    below = max(top + len(tile) - left, 0)
    _merge_columns(tile[:, below:], top, left + below, values, indices)


@njit(parallel=True, cache=True)
def _merge_rows(tile, top, left, values, indices):  # type: ignore[no-untyped-def]
    for r in prange(tile.shape[0]):
        row, best, found = tile[r], values[top + r], indices[top + r]
        for start in range(0, row.shape[0], GROUP):
            group = row[start : start + GROUP]
            if _any_at_least(group, best[-1]):
                for j in range(group.shape[0]):
                    if group[j] >= best[-1]:
                        _insert(best, found, group[j], left + start + j)


@njit(parallel=True, cache=True)
def _merge_columns(tile, top, left, values, indices):  # type: ignore[no-untyped-def]
    for span in prange((tile.shape[1] + SPAN - 1) // SPAN):
        first, end = span * SPAN, min((span + 1) * SPAN, tile.shape[1])
        last = values[left + first : left + end, -1].copy()
        for r in range(tile.shape[0]):
            row = tile[r, first:end]
            for start in range(0, row.shape[0], GROUP):
                group, thresholds = row[start : start + GROUP], last[start : start + GROUP]
                if _any_at_least_each(group, thresholds):
                    for j in range(group.shape[0]):
                        if group[j] >= thresholds[j]:
                            column = left + first + start + j
                            _insert(values[column], indices[column], group[j], top + r)
                            thresholds[j] = values[column, -1]


@njit(parallel=True, cache=True)
def _subtract(tile, of_rows, of_columns):  # type: ignore[no-untyped-def]
    for r in prange(tile.shape[0]):
        for c in range(tile.shape[1]):
            tile[r, c] -= of_rows[r] + of_columns[c]


@njit(parallel=True, cache=True)
def _lowest_of_rows(tile, top, left, lowest, where):  # type: ignore[no-untyped-def]
    for r in prange(tile.shape[0]):
        least = _least(tile[r])
        if least < lowest[top + r]:
            lowest[top + r] = least
            for c in range(tile.shape[1]):
                if tile[r, c] == least:
                    where[top + r] = left + c
                    break


@njit(cache=True)
def _least(row):  # type: ignore[no-untyped-def]
    """The smallest value, found by groups whose lanes are compared side by side."""
    lanes = np.full(16, np.inf, np.float32)
    whole = row.shape[0] // 16 * 16
    for start in range(0, whole, 16):
        for lane in range(16):
            lanes[lane] = min(lanes[lane], row[start + lane])
    for c in range(whole, row.shape[0]):
        lanes[0] = min(lanes[0], row[c])
    return lanes.min()


@njit(parallel=True, cache=True)
def _lowest_of_columns(tile, top, left, lowest, where):  # type: ignore[no-untyped-def]
    for span in prange((tile.shape[1] + SPAN - 1) // SPAN):
        first, end = span * SPAN, min((span + 1) * SPAN, tile.shape[1])
        least, place = lowest[left + first : left + end], where[left + first : left + end]
        for r in range(tile.shape[0]):
            row = tile[r, first:end]
            for c in range(row.shape[0]):
                lower = row[c] < least[c]
                place[c] = np.int32(top + r) if lower else place[c]
                least[c] = row[c] if lower else least[c]


@njit(cache=True)
def _any_at_least(group, threshold):  # type: ignore[no-untyped-def]
    count = 0
    for j in range(group.shape[0]):
        count += group[j] >= threshold
    return count > 0


@njit(cache=True)
def _any_at_least_each(group, thresholds):  # type: ignore[no-untyped-def]
    count = 0
    for j in range(group.shape[0]):
        count += group[j] >= thresholds[j]
    return count > 0


@njit(cache=True)
def _insert(values, indices, value, index):  # type: ignore[no-untyped-def]
    """Insert into a descending list of fixed length; equal values go by index, so the order of arrival is free."""
    place = values.shape[0] - 1
    if values[place] == value and indices[place] < index:
        return
    while place > 0 and (values[place - 1] < value or (values[place - 1] == value and indices[place - 1] > index)):
        values[place], indices[place] = values[place - 1], indices[place - 1]
        place -= 1
    values[place], indices[place] = value, index


def search_on_device(matrix: "Tensor", k: int) -> Neighbours:
    """Find the same by blocked product and top-k, by torch where `matrix` is; one copy to the host at the end."""
    import torch

    off = (matrix.norm(dim=1) - 1).abs()
    if not bool((off <= NORM_TOLERANCE).all()):
        check_normalized(as_matrix(matrix, "features"))  # which names the row
    columns = torch.arange(len(matrix), device=matrix.device)
    indices, values = [], []
    rows = max(1, DEVICE_TILE // len(matrix))
    for top in range(0, len(matrix), rows):
        similarity = matrix[top : top + rows] @ matrix.T
        found = index_of(ranking_keys(similarity, columns).topk(k, dim=1, largest=False).values)
        indices.append(found.int())
        values.append(similarity.gather(1, found))
    near, close = torch.cat(indices).cpu().numpy(), torch.cat(values).cpu().numpy()
    return Neighbours(near, close, search=f"exact on {matrix.device.type}", recall=1.0)


def nearest_and_farthest_on_device(matrix: "Tensor", k: int) -> tuple[Neighbours, NDArray[np.int32]]:
    """Find the same by blocked product and top-k, by torch where `matrix` is."""
    import torch

    half = (matrix * matrix).sum(dim=1) / 2
    columns = torch.arange(len(matrix), device=matrix.device)
    indices, values, farthest = [], [], []
    rows = max(1, DEVICE_TILE // len(matrix))
    for top in range(0, len(matrix), rows):
        similarity = (matrix[top : top + rows] @ matrix.T).sub_(half[top : top + rows, None]).sub_(half)
        found = index_of(ranking_keys(similarity, columns).topk(k, dim=1, largest=False).values)
        indices.append(found.int())
        values.append(similarity.gather(1, found))
        farthest.append(similarity.argmin(dim=1).int())
    near, close, far = (torch.cat(parts).cpu().numpy() for parts in (indices, values, farthest))
    return Neighbours(near, close, search=f"exact on {matrix.device.type}", recall=1.0), far


def _approximate(matrix: Matrix, k: int) -> Neighbours:
    """Candidates by HNSW on eight bits a value, four times as quick to compare as floats; the best k by exact product.

    Training a coarse quantizer (IVF), or codes of a few bits (PQ), costs more of the clusters than it saves in time:
    neighbours are missed where identities meet, and there they matter (`python -m benchmarks search`).
    """
    import faiss

    index = faiss.index_factory(matrix.shape[1], f"HNSW{HNSW_LINKS},SQ8", faiss.METRIC_INNER_PRODUCT)
    index.train(matrix)
    index.add(matrix)
    candidates = min(HNSW_CANDIDATES * k, len(matrix))
    faiss.ParameterSpace().set_index_parameter(index, "efSearch", max(HNSW_EXPLORE, candidates))
    _, found = index.search(matrix, candidates)
    similarity = np.empty(found.shape, np.float32)
    _score(matrix, found, similarity)
    order = np.lexsort((found, -similarity), axis=1)[:, :k]
    indices = np.take_along_axis(found, order, axis=1).astype(np.int32)
    values = np.take_along_axis(similarity, order, axis=1)
    sample = np.linspace(0, len(matrix) - 1, min(RECALL_SAMPLE, len(matrix)), dtype=np.int64)
    true_values, _ = _search_rows(matrix, sample, k)
    # By similarity, since of equally close images any may be found.
    recall = float(np.mean(values[sample] >= true_values[:, -1:] - ROUNDING))
    unfinished = np.flatnonzero((indices < 0).any(axis=1))  # the graph's walk may end before it has met k images
    values[unfinished], indices[unfinished] = _search_rows(matrix, unfinished, k)
    return Neighbours(indices, values, search="hnsw", recall=recall)


@njit(parallel=True, cache=True, fastmath={"reassoc"})
def _score(matrix, found, similarity):  # type: ignore[no-untyped-def]
    """Inner products of every row with the rows found for it; minus infinity for none (-1)."""
    for i in prange(found.shape[0]):
        for j in range(found.shape[1]):
            similarity[i, j] = -np.inf
            if found[i, j] >= 0:
                row, other, total = matrix[i], matrix[found[i, j]], np.float32(0)
                for c in range(row.shape[0]):
                    total += row[c] * other[c]
                similarity[i, j] = total


def _search_rows(matrix: Matrix, rows: NDArray[np.int64], k: int) -> tuple[Matrix, NDArray[np.int64]]:
    """The exact similarities, descending, and neighbours of some rows."""
    values, indices = np.empty((len(rows), k), np.float32), np.empty((len(rows), k), np.int64)
    height = max(1, TILE_ROWS * TILE_COLUMNS // len(matrix))
    for top in range(0, len(rows), height):
        similarity = matrix[rows[top : top + height]] @ matrix.T
        near = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
        near = np.take_along_axis(near, np.argsort(-np.take_along_axis(similarity, near, axis=1), axis=1), axis=1)
        indices[top : top + height], values[top : top + height] = near, np.take_along_axis(similarity, near, axis=1)
    return values, indices
