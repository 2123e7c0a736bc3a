"""Infomap (Rosvall and Bergstrom, PNAS 2008) on the graph of near images, as in Cluster Contrast's second release.

The release (alibaba/cluster-contrast-reid, described in prose, not ported) links each image to those of its 15 nearest
whose cosine similarity is at least 0.5, weighted by it, runs Infomap with two levels and directed links, and leaves out
modules of four images or fewer: distance {kind: cosine, k: 15}, max_distance 0.5, min_cluster_size 5.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, PositiveInt

from harness.errors import UserError
from harness.labels.clusterings.base import ClusteringKind, numbered_by_first
from harness.labels.distances.base import Distances

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

SEED = 123
"""Infomap's own default."""


class Infomap(ClusteringKind):
    """Infomap, two levels, on directed links between near images (Rosvall and Bergstrom, PNAS 2008)."""

    kind: Literal["infomap"]
    max_distance: float = Field(
        gt=0, lt=1, description="images farther apart are not linked; a link weighs 1 - distance"
    )
    min_cluster_size: PositiveInt = Field(description="images that make a cluster; fewer are outliers")

    needs_symmetric: ClassVar[bool] = False
    to_find_more: ClassVar[str] = "a larger max_distance, a smaller min_cluster_size"
    to_find_smaller: ClassVar[str] = "a smaller max_distance"

    def cluster(self, distances: Distances, values: MutableMapping[str, Any]) -> NDArray[np.int64]:
        return infomap_modules(distances.within(self.max_distance), self.min_cluster_size)


def infomap_modules(distance: csr_matrix, min_cluster_size: int) -> NDArray[np.int64]:
    """Return labels [N] of the modules that Infomap finds, numbered by their first image; -1 is an outlier.

    `distance` is CSR [N, N] with values in [0, 1]: an entry (i, j) is a link from i to j that weighs 1 - distance. An
    image without links, and a module of fewer than `min_cluster_size` images, is an outlier.
    Raises UserError if the package `infomap` is not installed.
    """
    import numpy as np

    try:
        import infomap
    except ImportError as error:
        raise UserError("clustering infomap needs a package of its own: pip install 'reid-harness[infomap]'") from error
    graph = distance.tocoo()
    linked = (graph.row != graph.col) & (graph.data < 1)
    links = np.stack([graph.row[linked], graph.col[linked], 1 - graph.data[linked].astype(np.float64)], axis=1)
    labels = np.full(distance.shape[0], -1, np.int64)
    if len(links):
        search = infomap.Infomap(two_level=True, directed=True, silent=True, seed=SEED)
        search.add_links(links)
        for image, module in search.run().modules().items():
            labels[image] = module
    sizes = np.bincount(labels + 1)
    labels[sizes[labels + 1] < min_cluster_size] = -1
    return numbered_by_first(labels)
