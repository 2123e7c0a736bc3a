"""DBSCAN with the radius that MMT and SSKD read off the data, once, in their first epoch."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, PositiveInt

from harness.errors import UserError
from harness.labels.clusterings.base import ClusteringKind
from harness.labels.clusterings.dbscan import cluster
from harness.labels.distances.base import Distances
from harness.labels.distances.jaccard import Jaccard

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from harness.labels.neighbours import Neighbours

EPS = "eps"
"""Where a run's values hold the radius."""
FIRST_REACH = 0.5


class DataDrivenDBSCAN(ClusteringKind):
    """DBSCAN whose radius is the mean of the smallest distances of the first epoch (MMT's release, ICLR 2020)."""

    kind: Literal["dbscan-data-driven"]
    rho: float = Field(gt=0, lt=1, description="share of the smallest non-zero distances whose mean is the radius")
    min_samples: PositiveInt = Field(description="images within the radius that make a core point, itself included")

    to_find_more: ClassVar[str] = "a larger rho, a smaller min_samples"
    to_find_smaller: ClassVar[str] = "a smaller rho"

    def cluster(self, distances: Distances, values: MutableMapping[str, Any]) -> NDArray[np.int64]:
        if EPS not in values:
            values[EPS] = mean_of_smallest(distances, self.rho)
        eps = float(values[EPS])
        return cluster(distances.within(eps), eps, self.min_samples)


def data_driven_eps(features: Any, k1: int, k2: int, rho: float, *, neighbours: Neighbours | None = None) -> float:
    """Return the mean of the smallest `rho` share of the non-zero Jaccard distances between different rows of
    `features` (errors and memory as in `mean_of_smallest`).
    """
    from harness.labels.neighbours import nearest_neighbours

    near = nearest_neighbours(features, k1) if neighbours is None else neighbours
    return mean_of_smallest(Jaccard(kind="jaccard", k1=k1, k2=k2).measure(features, near), rho)


def mean_of_smallest(distances: Distances, rho: float) -> float:
    """Return the mean of the smallest `rho` share of the non-zero distances between different images.

    The methods' releases sort the non-zero distances above the diagonal and average the first round(rho * count). What
    is zero, `distances.rounding` says: equal weights give zero or some 1e-7, as the additions happened to round.
    Here only the small ones are computed: within a reach that grows until it covers their number, so memory follows
    rho * N * (N - 1) / 2, not N^2. Pairs without a common neighbour have distance exactly 1 and are only counted.

    Raises UserError unless 0 < rho <= 1, or if rho is so small, or the images so alike, that no distance is left.
    """
    import numpy as np

    if not 0 < rho <= 1:
        raise UserError(f"rho is a share of all pairs, above 0 and at most 1, not {rho}")
    pairs = distances.images * (distances.images - 1) // 2
    reach = FIRST_REACH
    while True:
        found = distances.within(reach)
        row = np.repeat(np.arange(found.shape[0]), np.diff(found.indptr))
        near = found.data[found.indices > row]
        zeros = np.count_nonzero(near <= distances.rounding)
        wanted = round(rho * (pairs - zeros))
        if len(near) - zeros >= wanted or reach >= 1:
            break
        reach = (reach + 1) / 2 if reach < 0.95 else 1.0
    if wanted < 1:
        raise UserError(f"a share of {rho} of {pairs - zeros} non-zero distances is none: raise rho")
    smallest = np.sort(near[near > distances.rounding])[:wanted]
    return float((smallest.sum(dtype=np.float64) + (wanted - len(smallest))) / wanted)
