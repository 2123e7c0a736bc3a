"""Feature matrices at the boundary: any array in, a checked float32 matrix out."""

from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from harness.errors import UserError

Matrix = NDArray[np.float32]

SMALLEST_NORM = 1e-12


def as_matrix(features: Any, name: str) -> Matrix:
    """Return `features` (numpy array or torch tensor on any device, [N, d], any float or integer type) as float32.

    The result is C-contiguous; it shares memory with the input where that already is a contiguous float32 array.
    Raises UserError if it is not a two-dimensional, non-empty array of numbers.
    """
    if hasattr(features, "detach"):  # a torch tensor, recognized without importing torch
        features = features.detach().float().cpu().numpy()
    array = np.asarray(features)
    if array.ndim != 2 or 0 in array.shape:
        raise UserError(f"{name} must be a non-empty matrix [images, dimensions]; their shape is {array.shape}")
    if array.dtype.kind not in "fiu":
        raise UserError(f"{name} must be numbers; their type is {array.dtype}")
    with np.errstate(over="ignore"):  # a value beyond float32 becomes infinite, which the norm check reports
        return np.ascontiguousarray(array, dtype=np.float32)


def row_norms(matrix: Matrix, name: str) -> Matrix:
    """Return the Euclidean norm of each row, [N] float32. Raises UserError for a row with NaN, infinity or norm 0."""
    norms: Matrix = _norms(matrix)
    bad = ~np.isfinite(norms)
    if bad.any():
        raise UserError(f"{name}: row {bad.argmax()} contains NaN or infinity ({bad.sum()} such rows of {len(norms)})")
    bad = norms < SMALLEST_NORM
    if bad.any():
        raise UserError(f"{name}: row {bad.argmax()} has norm zero ({bad.sum()} such rows of {len(norms)})")
    return norms


@njit(parallel=True, cache=True, fastmath={"reassoc"})
def _norms(matrix: Matrix) -> Matrix:
    norms = np.empty(matrix.shape[0], np.float32)
    for i in prange(matrix.shape[0]):
        row = matrix[i]
        total = 0.0  # float64: the square of a float32 always fits
        for j in range(row.shape[0]):
            value = np.float64(row[j])
            total += value * value
        norms[i] = np.sqrt(total)
    return norms
