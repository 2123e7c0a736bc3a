"""What every kind of distance has in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from harness.specs.base import Frozen

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from harness.labels.neighbours import Neighbours


@dataclass(frozen=True)
class Distances:
    """Distances between N images, computed as far as a clustering asks.

    `within(reach)` returns the distances <= reach as float32 CSR [N, N]; what is not stored is farther. Distances up
    to `rounding` are zero, as the additions happened to round.
    """

    images: int
    within: Callable[[float], csr_matrix]
    rounding: float = 1e-6


class DistanceKind(Frozen):
    """A kind of distance: how many neighbours of each image it looks at, and how it measures."""

    symmetric: ClassVar[bool]
    """Whether the distance from i to j is stored wherever the one from j to i is."""
    uses_cameras: ClassVar[bool] = False
    """Whether it treats images of one camera otherwise than images of two."""

    @property
    @abstractmethod
    def neighbours(self) -> int:
        """Neighbours to search per image, the image itself among them."""

    def search(self, features: Any, cameras: Any) -> Neighbours:
        """Return what `measure` needs of L2-normalized features [N, d], found on their device.

        `cameras` [N]: None for a distance that does not use them.
        """
        from harness.labels.neighbours import nearest_neighbours

        return nearest_neighbours(features, self.neighbours)

    @abstractmethod
    def measure(self, features: Any, neighbours: Neighbours) -> Distances:
        """Return the distances between L2-normalized features [N, d], given their nearest neighbours.

        The features may be a tensor on a device: bring them to the host once (`harness.matrix.as_matrix`), not at
        every reach.
        """
