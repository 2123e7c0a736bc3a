"""DBSCAN (Ester et al., KDD 1996) on a sparse matrix of distances, with a radius that the spec states."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, PositiveInt

from harness.errors import UserError
from harness.labels.clusterings.base import ClusteringKind
from harness.labels.distances.base import Distances

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix


class DBSCAN(ClusteringKind):
    """DBSCAN with a fixed radius (Ester et al., KDD 1996)."""

    kind: Literal["dbscan"]
    eps: float = Field(gt=0, lt=1, description="radius, on the distance")
    min_samples: PositiveInt = Field(description="images within eps that make a core point, itself included")

    to_find_more: ClassVar[str] = "a larger eps, a smaller min_samples"
    to_find_smaller: ClassVar[str] = "a smaller eps"

    def cluster(self, distances: Distances, values: MutableMapping[str, Any]) -> NDArray[np.int64]:
        return cluster(distances.within(self.eps), self.eps, self.min_samples)


def cluster(distance: csr_matrix, eps: float, min_samples: int) -> NDArray[np.int64]:
    """Return labels [N] of the connected components of core images, numbered by their first core image; -1 is an
    outlier.

    `distance` is a symmetric sparse matrix that holds at least all distances <= eps; what it does not hold is
    farther, but an image is always its own neighbour. A core image has at least `min_samples` images within `eps`,
    itself included. An image next to several clusters joins the first of them. The labels are those of
    `sklearn.cluster.DBSCAN(metric="precomputed")`: distances are compared in their own type, float32.

    Raises UserError if the matrix is not square, eps is not positive, or min_samples < 1.
    """
    from scipy.sparse import csr_matrix

    from harness.labels.clusterings.dbscan_kernel import labels_of

    if distance.shape[0] != distance.shape[1]:
        raise UserError(f"the distance matrix must be square; its shape is {distance.shape}")
    if not eps > 0 or min_samples < 1:
        raise UserError(f"eps must be positive and min_samples at least 1, not {eps} and {min_samples}")
    matrix = csr_matrix(distance)
    eps_there = matrix.dtype.type(eps)
    labels: NDArray[np.int64] = labels_of(matrix.indptr, matrix.indices, matrix.data, eps_there, min_samples)
    return labels
