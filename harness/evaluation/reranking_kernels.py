"""The compiled steps of re-ranking: each works on rows of a sparse matrix, several at once."""

import numpy as np
from numba import njit, prange


@njit(parallel=True, cache=True)
def measure_rows(features, ranked, distances, far, farthest):  # type: ignore[no-untyped-def]
    """Fill in the squared `distances` of the images `ranked` for each, and of the farthest, in float64.

    The images are ordered by them, then by index.
    """
    for i in prange(ranked.shape[0]):
        farthest[i] = _squared(features[i], features[far[i]])
        images, values = ranked[i], distances[i]
        for k in range(images.shape[0]):
            image, value, place = images[k], _squared(features[i], features[images[k]]), k
            while place > 0 and (
                values[place - 1] > value or (values[place - 1] == value and images[place - 1] > image)
            ):
                images[place], values[place] = images[place - 1], values[place - 1]
                place -= 1
            images[place], values[place] = image, value


@njit(parallel=True, cache=True)
def weigh_rows(start, columns, features, ranked, distances, farthest, weights):  # type: ignore[no-untyped-def]
    """Fill in the weights of the expanded sets: exp(-d), d relative to the image's farthest, over their sum."""
    for i in prange(start.shape[0] - 1):
        total = 0.0
        for m in range(start[i], start[i + 1]):
            value = np.exp(-_distance(i, columns[m], features, ranked, distances) / farthest[i])
            weights[m] = value
            total += value
        for m in range(start[i], start[i + 1]):
            weights[m] /= total


@njit(cache=True)
def _distance(i, j, features, ranked, distances):  # type: ignore[no-untyped-def]
    """The squared distance of two images, looked up if one is among the other's neighbours."""
    for k in range(ranked.shape[1]):
        if ranked[i, k] == j:
            return distances[i, k]
    for k in range(ranked.shape[1]):
        if ranked[j, k] == i:
            return distances[j, k]
    return _squared(features[i], features[j])


@njit(cache=True, fastmath={"reassoc", "contract"})
def _squared(a, b):  # type: ignore[no-untyped-def]
    total = 0.0
    for k in range(a.shape[0]):
        difference = np.float64(a[k]) - np.float64(b[k])
        total += difference * difference
    return total


@njit(parallel=True, cache=True)
def rerank_rows(queries, start, columns, weights, list_start, members, shares, farthest, weight, found):  # type: ignore[no-untyped-def]
    """Turn squared distances [queries, gallery] into re-ranked ones.

    `members` and `shares`, from `list_start[c]` on, are the gallery images that have a weight for image c; what they
    share with the query is added up in ascending c.
    """
    for row in prange(queries.shape[0]):
        query, distances = queries[row], found[row]
        overlap = np.zeros(distances.shape[0], np.float32)
        for e in range(start[query], start[query + 1]):
            own = weights[e]
            for m in range(list_start[columns[e]], list_start[columns[e] + 1]):
                overlap[members[m]] += min(own, shares[m])
        scale, rest = np.float32(weight / farthest[query]), np.float32(1) - weight
        for j in range(distances.shape[0]):
            jaccard = np.float32(1) - overlap[j] / (np.float32(2) - overlap[j])
            distances[j] = scale * max(distances[j], np.float32(0)) + rest * jaccard
