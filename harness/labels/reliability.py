"""The reliability of clusters in SpCL (Ge et al., NeurIPS 2020, 3.3): do they survive a tighter and a looser eps?"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError

Reliability = NDArray[np.float64]


def self_paced_reliability(normal: Any, tight: Any, loose: Any) -> tuple[Reliability, Reliability]:
    """Return per image 1 - IoU of its cluster with its cluster at the tighter, and at the looser, eps: [N] float64
    each.

    The first is what SpCL's code calls the compactness score, R_comp, the second the independence score, R_indep;
    smaller is more reliable. The three are labels [N] of the same images (-1 = outlier, a cluster of its own). The
    intersections come from the contingency of the labels, not from an N x N matrix. Raises UserError if the lengths
    differ.
    """
    labels = [_without_outliers(given) for given in (normal, tight, loose)]
    if len({len(given) for given in labels}) != 1:
        raise UserError(f"labels of {', '.join(str(len(given)) for given in labels)} images: give the same images")
    return 1 - _overlap(labels[0], labels[1]), 1 - _overlap(labels[0], labels[2])


def _without_outliers(given: Any) -> NDArray[np.int64]:
    labels = np.array(given, dtype=np.int64)
    if labels.ndim != 1:
        raise UserError(f"labels must be a flat list; their shape is {labels.shape}")
    outliers = labels < 0
    labels[outliers] = labels.max(initial=-1) + 1 + np.arange(outliers.sum())
    return labels


def _overlap(first: NDArray[np.int64], second: NDArray[np.int64]) -> Reliability:
    """Intersection over union of each image's two clusters."""
    pair = np.unique(np.stack([first, second]), axis=1, return_inverse=True, return_counts=True)
    common = pair[2][pair[1].ravel()]
    size_first, size_second = np.bincount(first)[first], np.bincount(second)[second]
    overlap: Reliability = common / (size_first + size_second - common)
    return overlap
