"""How far the farthest image is from each, by a blocked product: the matrix of all distances never exists."""

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.labels.neighbours import DEVICE_TILE, TILE_COLUMNS, TILE_ROWS
from harness.matrix import Matrix, as_matrix

if TYPE_CHECKING:
    from torch import Tensor

# Of images this near to all others, the squared distances are rounding errors: nothing to divide by.
ALIKE = 1e-5


def farthest_distances(features: Any) -> Matrix:
    """Return the largest squared Euclidean distance of each L2-normalized row of `features` [N, d] to any: float32 [N].

    1 where all images are alike, so that it can be divided by. Computed where the features are; the matrix of
    similarities is symmetric, so a CPU multiplies each pair of row strips once.
    """
    on_device = getattr(getattr(features, "device", None), "type", "cpu") != "cpu"
    lowest = _lowest_on_device(features.detach().float()) if on_device else _lowest(as_matrix(features, "features"))
    farthest = 2 - 2 * lowest
    return np.where(farthest > ALIKE, farthest, np.float32(1))


def _lowest(matrix: Matrix) -> Matrix:
    """Each row's smallest inner product with any."""
    lowest = np.full(len(matrix), np.inf, np.float32)
    for top in range(0, len(matrix), TILE_ROWS):
        rows = slice(top, top + TILE_ROWS)
        for left in range(top, len(matrix), TILE_COLUMNS):
            columns = slice(left, left + TILE_COLUMNS)
            tile = matrix[rows] @ matrix[columns].T
            lowest[rows] = np.minimum(lowest[rows], tile.min(axis=1))
            lowest[columns] = np.minimum(lowest[columns], tile.min(axis=0))
    return lowest


def _lowest_on_device(matrix: "Tensor") -> Matrix:
    import torch

    rows = max(1, DEVICE_TILE // len(matrix))
    parts = [(matrix[top : top + rows] @ matrix.T).amin(dim=1) for top in range(0, len(matrix), rows)]
    lowest: Matrix = torch.cat(parts).cpu().numpy()
    return lowest
