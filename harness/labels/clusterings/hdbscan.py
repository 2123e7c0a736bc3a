"""HDBSCAN (Campello et al., PAKDD 2013), scikit-learn's, on a sparse matrix of distances.

Distances that are not stored count as 1, which for the Jaccard distance is exact. The dense matrix would cost N²
numbers. Instead the mutual reachability max(core(i), core(j), d(i, j)) is computed where a distance is stored; where
none is, it is 1. Images that it does not connect below 1 to at least `min_cluster_size` images are outliers at every
radius. Among the others the parts that nothing connects below 1 are joined by a ring of distances of 1, which is all of
the dense matrix that a minimum spanning tree can use.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, PositiveInt

from harness.labels.clusterings.base import ClusteringKind, numbered_by_first
from harness.labels.distances.base import Distances

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

FARTHEST = 1.0
# Images whose distance is zero but for rounding; at exactly zero SciPy's spanning tree would lose the edge.
NEAREST = 1e-6


class HDBSCAN(ClusteringKind):
    """HDBSCAN, clusters by excess of mass, no radius (Campello et al., PAKDD 2013)."""

    kind: Literal["hdbscan"]
    min_cluster_size: int = Field(ge=2, description="images that make a cluster; fewer are outliers")
    min_samples: PositiveInt = Field(description="an image's core distance is that to its n-th nearest, itself first")

    to_find_more: ClassVar[str] = "a smaller min_cluster_size, a smaller min_samples"
    to_find_smaller: ClassVar[str] = "a smaller min_cluster_size"

    def cluster(self, distances: Distances, values: MutableMapping[str, Any]) -> NDArray[np.int64]:
        return hdbscan(distances.within(FARTHEST), self.min_cluster_size, self.min_samples)


def hdbscan(distance: csr_matrix, min_cluster_size: int, min_samples: int) -> NDArray[np.int64]:
    """Return labels [N] numbered by each cluster's first image; -1 is an outlier.

    `distance` is symmetric CSR [N, N] with values in [0, 1], its diagonal stored; what it does not hold is 1. The
    clusters are those of `sklearn.cluster.HDBSCAN(metric="precomputed")` on the dense matrix where no two merges tie;
    there an image at distance 1 from all clusters may tie itself into one, here it is an outlier.
    """
    import numpy as np
    from scipy.sparse.csgraph import connected_components
    from sklearn import cluster

    reachability = mutual_reachability(distance, min_samples)
    part = connected_components(reachability, directed=False)[1]
    kept = np.flatnonzero(np.bincount(part)[part] >= min_cluster_size)
    labels = np.full(distance.shape[0], -1, np.int64)
    if len(kept):
        joined = joined_by_ring(reachability[kept][:, kept], part[kept])
        search = cluster.HDBSCAN(min_cluster_size=min_cluster_size, min_samples=1, metric="precomputed", copy=True)
        labels[kept] = search.fit(joined).labels_
    return numbered_by_first(labels)


def mutual_reachability(distance: csr_matrix, min_samples: int) -> csr_matrix:
    """Return max(core(i), core(j), d(i, j)) of the stored distances, float64, where it is below 1."""
    import numpy as np
    from scipy.sparse import csr_matrix

    core = np.full(distance.shape[0], FARTHEST)
    for i, (start, end) in enumerate(zip(distance.indptr, distance.indptr[1:], strict=False)):
        if end - start >= min_samples:
            core[i] = np.partition(distance.data[start:end], min_samples - 1)[min_samples - 1]
    row = np.repeat(np.arange(len(core)), np.diff(distance.indptr))
    column, value = distance.indices, np.maximum(distance.data.astype(np.float64), NEAREST)
    value = np.where(row == column, NEAREST, np.maximum(np.maximum(core[row], core[column]), value))
    near = value < FARTHEST
    return csr_matrix((value[near], (row[near], column[near])), shape=distance.shape)


def joined_by_ring(reachability: csr_matrix, part: NDArray[np.int32]) -> csr_matrix:
    """Return the graph with one more edge, of length 1, from each connected part's first image to the next part's."""
    import numpy as np
    from scipy.sparse import csr_matrix

    first = np.unique(part, return_index=True)[1]
    if len(first) == 1:
        return reachability
    one, other = first, np.roll(first, 1)
    far = np.full(len(first), FARTHEST)
    ring = csr_matrix((far, (one, other)), shape=reachability.shape)
    return reachability + ring.maximum(ring.T)
