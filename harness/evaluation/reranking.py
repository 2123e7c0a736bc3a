"""Re-ranking by k-reciprocal neighbours (Zhong et al., Re-ranking Person Re-identification with k-reciprocal Encoding,
CVPR 2017), exact and sparse.

On the N images [query; gallery], with d(i, j) their squared Euclidean distance over the largest that image i has to
any, R(i, k) the image itself and its k nearest others, and h = round(k1 / 2) to even:

1. reciprocal set    K(i) = {j in R(i, k1): i in R(j, k1)}, and H(c) the same with h in place of k1;
2. expansion         E(i) = K(i) + all H(c) of c in K(i) with |H(c) & K(i)| > 2/3 |H(c)|   (their eq. 5);
3. weights           V(i, j) = exp(-d(i, j)) / sum over E(i), for j in E(i)                  (eq. 7);
4. query expansion   V'(i) = mean of V(p) over the k2 nearest p of i, itself among them      (eq. 11);
5. distance          D(i, j) = lambda d(i, j) + (1 - lambda) (1 - S / (2 - S)),
                     S = sum over k of min(V'(i, k), V'(j, k))                               (eq. 10, 12).

Neighbours are searched in float32 and ordered in float64, so that they are the same whatever the blocks of a product,
the number of threads or the device. Equally distant images go by their index.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from harness.errors import UserError
from harness.evaluation import reranking_kernels as kernels
from harness.labels.jaccard import expand, expanded_sets
from harness.labels.neighbours import nearest_and_farthest
from harness.matrix import Matrix, as_matrix, row_norms

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

K1, K2, LAMBDA = 20, 6, 0.3
# More neighbours than needed are found in float32, so that those needed are among them in float64.
MARGIN = 4
# Bytes of distances at a time.
BLOCK_BYTES = 256 * 2**20


class RerankedDistances:
    """Distances [queries, gallery], float32, of which rows are computed when they are asked for.

    Reads like the matrix: `distances[i]`, `distances[a:b]`, `len`, iteration over rows, `np.asarray`. `blocks` goes
    over it in bounded memory; `harness.evaluation.evaluate_distances` does.
    """

    dtype = np.dtype(np.float32)
    ndim = 2

    def __init__(self, rows: _Rows, squares: _Squares, farthest: NDArray[np.float64], weight: float) -> None:
        queries, gallery = squares.shape
        start, columns, weights = rows
        self.shape = (queries, gallery)
        self._start = start[: queries + 1]
        self._columns, self._weights = columns[: start[queries]], weights[: start[queries]]
        whole = csr_matrix(
            (weights[start[queries] :], columns[start[queries] :], start[queries:] - start[queries]),
            shape=(gallery, queries + gallery),
        )
        self._holders = whole.tocsc()  # for every image the gallery images that have a weight for it
        self._squares, self._farthest, self._weight = squares, farthest[:queries], np.float32(weight)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        rows, rest = (key[0], key[1:]) if isinstance(key, tuple) else (key, ())
        wanted = np.arange(len(self))[rows]
        found = self._rows(np.atleast_1d(wanted))
        return (found if np.ndim(wanted) else found[0])[(..., *rest)]

    def __iter__(self) -> Iterator[Matrix]:
        for block in self.blocks():
            yield from block

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        whole = np.empty(self.shape, np.float32)
        end = 0
        for block in self.blocks():
            whole[end : end + len(block)] = block
            end += len(block)
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def blocks(self) -> Iterator[Matrix]:
        """Yield the rows in order, as many at a time as fit into 256 MiB."""
        size = max(1, BLOCK_BYTES // (4 * self.shape[1]))
        for first in range(0, len(self), size):
            yield self._rows(np.arange(first, min(first + size, len(self))))

    def _rows(self, queries: NDArray[np.int64]) -> Matrix:
        found = self._squares.rows(queries)
        lists = self._holders.indptr, self._holders.indices, self._holders.data
        kernels.rerank_rows(
            queries, self._start, self._columns, self._weights, *lists, self._farthest, self._weight, found
        )
        return found


_Rows = tuple[NDArray[np.int64], NDArray[np.int32], Matrix]


class _Squares:
    """Squared distances of queries and gallery, some rows at a time, computed where the features are."""

    def __init__(self, query: Any, gallery: Any) -> None:
        self.shape = len(query), len(gallery)
        self._query, self._gallery = query, gallery
        self._lengths = [(features * features).sum(1) for features in (query, gallery)]

    def rows(self, queries: NDArray[np.int64]) -> Matrix:
        first, last = (int(queries[0]), int(queries[-1]) + 1) if len(queries) else (0, 0)
        rows = slice(first, last) if len(queries) == last - first and (np.diff(queries) == 1).all() else queries
        found = self._query[rows] @ self._gallery.T
        found *= -2
        found += self._lengths[0][rows][:, None]
        found += self._lengths[1]
        return np.ascontiguousarray(found if isinstance(found, np.ndarray) else found.cpu().numpy())


def rerank(
    query_features: Any, gallery_features: Any, k1: int = K1, k2: int = K2, lambda_value: float = LAMBDA
) -> RerankedDistances:
    """Return the re-ranked distances of `query_features` [Q, d] and `gallery_features` [G, d], smaller is closer.

    Features (numpy or torch on any device) are compared as they are: normalize them to re-rank by cosine. What is
    kept grows with the number of images times their neighbourhood; of the distances [Q, G] rows are computed when they
    are read (see `RerankedDistances`). Uses the whole query set: a query's distances change with the other queries.

    Raises UserError for NaN, infinity and rows of zeros (naming the row), for feature sizes that differ, for fewer
    images than k1 asks for, for k1 or k2 < 1, lambda_value outside [0, 1], and images that are all the same.
    """
    if k1 < 1 or k2 < 1:
        raise UserError(f"k1 and k2 must be at least 1, not {k1} and {k2}")
    if not 0 <= lambda_value <= 1:
        raise UserError(f"lambda_value must lie in [0, 1], not be {lambda_value}")
    query, gallery = as_matrix(query_features, "query features"), as_matrix(gallery_features, "gallery features")
    if query.shape[1] != gallery.shape[1]:
        raise UserError(f"query features have shape {query.shape}, gallery features {gallery.shape}")
    for features, name in ((query, "query features"), (gallery, "gallery features")):
        row_norms(features, name)
    images, wanted = len(query) + len(gallery), max(k1 + 1, k2)
    if images < wanted:
        raise UserError(
            f"re-ranking with k1 = {k1} and k2 = {k2} wants {wanted} images (one and its neighbours), query and "
            f"gallery have {images} together: lower k1 and k2"
        )
    matrix, searched, squares = _together(query, gallery, query_features, gallery_features)
    near, far = nearest_and_farthest(searched, min(wanted + MARGIN, images))
    ranked, distances, farthest = near.indices, np.empty(near.indices.shape), np.empty(images)
    kernels.measure_rows(matrix, ranked, distances, far, farthest)
    if not farthest.min() > 0:
        raise UserError("all images have the same features, so there is nothing to rank")
    start, columns = expanded_sets(np.ascontiguousarray(ranked[:, : k1 + 1]), round(k1 / 2) + 1)
    weights = np.empty(len(columns), np.float32)
    kernels.weigh_rows(start, columns, matrix, ranked, distances, farthest, weights)
    rows = expand((start, columns, weights), ranked[:, :wanted], k2)
    return RerankedDistances(rows, squares, farthest, lambda_value)


def _together(query: Matrix, gallery: Matrix, *given: Any) -> tuple[Matrix, Any, _Squares]:
    """The features of all images on the host, and where they were given; and what measures them there."""
    matrix = np.concatenate([query, gallery])
    if getattr(getattr(given[0], "device", None), "type", "cpu") == "cpu":
        return matrix, matrix, _Squares(matrix[: len(query)], matrix[len(query) :])
    import torch

    searched = torch.from_numpy(matrix).to(given[0].device)
    return matrix, searched, _Squares(searched[: len(query)], searched[len(query) :])
