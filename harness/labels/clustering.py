"""DBSCAN (Ester et al., KDD 1996) on a sparse matrix of distances."""

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from harness.errors import UserError


def cluster(distance: csr_matrix, eps: float, min_samples: int) -> NDArray[np.int64]:
    """Return labels [N] of the connected components of core images, numbered by their first core image; -1 is an
    outlier.

    `distance` is a symmetric sparse matrix that holds at least all distances <= eps; what it does not hold is
    farther, but an image is always its own neighbour. A core image has at least `min_samples` images within `eps`,
    itself included. An image next to several clusters joins the first of them. The labels are those of
    `sklearn.cluster.DBSCAN(metric="precomputed")`: distances are compared in their own type, float32.

    Raises UserError if the matrix is not square, eps is not positive, or min_samples < 1.
    """
    if distance.shape[0] != distance.shape[1]:
        raise UserError(f"the distance matrix must be square; its shape is {distance.shape}")
    if not eps > 0 or min_samples < 1:
        raise UserError(f"eps must be positive and min_samples at least 1, not {eps} and {min_samples}")
    matrix = csr_matrix(distance)
    eps_there = matrix.dtype.type(eps)
    labels: NDArray[np.int64] = _dbscan(matrix.indptr, matrix.indices, matrix.data, eps_there, min_samples)
    return labels


@njit(cache=True)
def _dbscan(start, indices, distances, eps, min_samples):  # type: ignore[no-untyped-def]
    n = start.shape[0] - 1
    core = np.empty(n, np.bool_)
    for i in range(n):
        near, itself = 0, 1
        for e in range(start[i], start[i + 1]):
            near += distances[e] <= eps
            if indices[e] == i:
                itself = 0  # stored, so counted or not by its distance
        core[i] = near + itself >= min_samples
    labels = np.full(n, -1, np.int64)
    stack = np.empty(n, np.int64)
    clusters = 0
    for seed in range(n):
        if labels[seed] != -1 or not core[seed]:
            continue
        labels[seed] = clusters
        stack[0], size = seed, 1
        while size:
            size -= 1
            i = stack[size]
            for e in range(start[i], start[i + 1]):
                j = indices[e]
                if labels[j] == -1 and distances[e] <= eps:
                    labels[j] = clusters
                    if core[j]:
                        stack[size] = j
                        size += 1
        clusters += 1
    return labels
