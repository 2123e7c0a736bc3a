"""What every kind of clustering has in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any, ClassVar

from harness.labels.distances.base import Distances
from harness.specs.base import Frozen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class ClusteringKind(Frozen):
    """A kind of clustering: from distances to labels."""

    needs_symmetric: ClassVar[bool] = True
    """Whether it needs a distance that is the same in both directions."""
    to_find_more: ClassVar[str]
    """What a user whose images form no cluster may try."""
    to_find_smaller: ClassVar[str]
    """What a user whose images form a single cluster may try."""

    @abstractmethod
    def cluster(self, distances: Distances, values: MutableMapping[str, Any]) -> NDArray[np.int64]:
        """Return labels [N] of N images: 0 … clusters - 1, -1 is an outlier.

        `values` (JSON-able) are kept for the run, over epochs and interruptions.
        """


def numbered_by_first(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return labels renumbered 0 … clusters - 1 in the order in which each first appears; -1 stays."""
    import numpy as np

    found, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    outlier = found == -1
    order = np.argsort(np.where(outlier, len(labels), first))
    number = np.empty(len(found), np.int64)
    number[order] = np.arange(len(found))
    number[outlier] = -1
    return number[inverse]
