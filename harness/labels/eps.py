"""The eps that MMT and SSKD read off the data, once, in their first epoch."""

from typing import Any

import numpy as np

from harness.errors import UserError
from harness.labels.jaccard import jaccard_distance
from harness.labels.neighbours import Neighbours, nearest_neighbours

FIRST_REACH = 0.5
# Equal weights give a distance of zero or of some 1e-7, as the additions happened to round: both are zero here, or eps
# would depend on the machine.
ROUNDING = 1e-6


def data_driven_eps(features: Any, k1: int, k2: int, rho: float, *, neighbours: Neighbours | None = None) -> float:
    """Return the mean of the smallest `rho` share of the non-zero Jaccard distances between different rows of
    `features`.

    The methods' releases sort the non-zero distances above the diagonal and average the first round(rho * count).
    Here only the small ones are computed: within a reach that grows until it covers their number, so memory follows
    rho * N * (N - 1) / 2, not N^2. Pairs without a common neighbour have distance exactly 1 and are only counted.

    Raises UserError unless 0 < rho <= 1, or if rho is so small, or the images so alike, that no distance is left.
    """
    if not 0 < rho <= 1:
        raise UserError(f"rho is a share of all pairs, above 0 and at most 1, not {rho}")
    neighbours = nearest_neighbours(features, k1) if neighbours is None else neighbours
    pairs = len(features) * (len(features) - 1) // 2
    reach = FIRST_REACH
    while True:
        distances = jaccard_distance(features, k1, k2, reach, neighbours=neighbours)
        row = np.repeat(np.arange(distances.shape[0]), np.diff(distances.indptr))
        near = distances.data[distances.indices > row]
        zeros = np.count_nonzero(near <= ROUNDING)
        wanted = round(rho * (pairs - zeros))
        if len(near) - zeros >= wanted or reach >= 1:
            break
        reach = (reach + 1) / 2 if reach < 0.95 else 1.0
    if wanted < 1:
        raise UserError(f"a share of {rho} of {pairs - zeros} non-zero distances is none: raise rho")
    smallest = np.sort(near[near > ROUNDING])[:wanted]
    return float((smallest.sum(dtype=np.float64) + (wanted - len(smallest))) / wanted)
