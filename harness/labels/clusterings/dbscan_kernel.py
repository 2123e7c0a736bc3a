"""The inner loop of DBSCAN, compiled by Numba."""

import numpy as np
from numba import njit


@njit(cache=True)
def labels_of(start, indices, distances, eps, min_samples):  # type: ignore[no-untyped-def]
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
