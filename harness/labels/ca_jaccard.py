"""Camera-aware Jaccard distance (Chen, Fan, Chen and Zhu, CVPR 2024), as its release computes it.

With R(i, k) the k + 1 nearest images of the same camera, i itself the first of them, and Q(i, k) the k + 1 nearest of
other cameras (the release cuts both lists there, although only the first begins with the image itself):

1. reciprocal set    K(i) = {j in R(i, k1_intra): i in R(j, k1_intra)} + {j in Q(i, k1_inter): i in Q(j, k1_inter)};
2. weights           V(i, j) = exp(-|f(i) - f(j)|^2) / sum over K(i), for j in K(i);
3. local expansion   V'(i) = mean of V(p) over the first k2_intra of R(i) and the first k2_inter of Q(i);
4. distance          D(i, j) = 1 - S / (2 - S), S = sum over k of min(V'(i, k), V'(j, k)).

A list is shorter where there are fewer images; the release fills it up with images of the wrong cameras.
The rows are sparse, so time beyond the search and memory grow with N times the neighbourhood.
"""

from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from harness.errors import UserError
from harness.labels import jaccard_kernels as kernels
from harness.labels.camera_neighbours import neighbours_by_camera
from harness.labels.jaccard import Rows, distances_of, expand, in_chunks, joined
from harness.labels.neighbours import Neighbours


def ca_jaccard_distance(
    features: Any,
    cameras: Any,
    k1_intra: int = 5,
    k1_inter: int = 20,
    k2_intra: int = 2,
    k2_inter: int = 4,
    max_distance: float = 1,
    *,
    neighbours: Neighbours | None = None,
) -> csr_matrix:
    """Return the camera-aware Jaccard distances <= `max_distance` between rows of `features` [N, d] as float32 CSR.

    The rows must be L2-normalized; `cameras` [N] are integers or names. The result is symmetric, its column indices
    ascend, and a distance of zero is stored explicitly. What is not stored is farther than `max_distance`; pairs
    without any common neighbour, whose distance is exactly 1, are never stored. `neighbours`, where given, replaces the
    exact search: those of `neighbours_by_camera` for k1_intra + 1 and k1_inter + 1. Raises UserError for NaN, zero-norm
    or not normalized rows, for cameras or neighbours that do not fit, for a k below 1, and for a k2 above k1 + 1.
    """
    rows = ca_jaccard_vectors(features, cameras, k1_intra, k1_inter, k2_intra, k2_inter, neighbours=neighbours)
    return distances_of(rows, max_distance)


def ca_jaccard_vectors(
    features: Any,
    cameras: Any,
    k1_intra: int,
    k1_inter: int,
    k2_intra: int,
    k2_inter: int,
    *,
    neighbours: Neighbours | None = None,
) -> Rows:
    """Return V' of step 3, sparse: where rows start, their ascending columns, and their weights, which sum to 1.

    Some hundred entries a row, whatever the reach, for who wants distances of some rows at a time. Arguments and errors
    are those of `ca_jaccard_distance`.
    """
    if min(k1_intra, k1_inter, k2_intra, k2_inter) < 1:
        raise UserError(f"every k must be at least 1, not {k1_intra}, {k1_inter}, {k2_intra} and {k2_inter}")
    if k2_intra > k1_intra + 1 or k2_inter > k1_inter + 1:
        raise UserError(f"k2 must be at most k1 + 1, not {k2_intra} and {k2_inter} for {k1_intra} and {k1_inter}")
    if neighbours is None:
        neighbours = neighbours_by_camera(features, cameras, k1_intra + 1, k1_inter + 1)
    expected = (len(features), k1_intra + k1_inter + 2)
    if neighbours.indices.shape != expected:
        raise UserError(f"neighbours of shape {neighbours.indices.shape} do not fit: {expected} are needed")
    ranked, intra = neighbours.indices, k1_intra + 1
    rows = joined(in_chunks(kernels.mutual_rows, len(ranked), ranked, neighbours.similarities, intra))
    averaged = np.hstack([ranked[:, :k2_intra], ranked[:, intra : intra + k2_inter]])
    return expand(rows, averaged, averaged.shape[1])
