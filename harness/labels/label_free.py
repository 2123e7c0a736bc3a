"""How good pseudo-labels look without any identity: what may choose an epoch where there are no labels."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from harness.errors import UserError
from harness.matrix import as_matrix

BLOCK = 4_096
"""Images whose similarities to all centroids are in memory at a time."""


def centroid_silhouette(features: Any, labels: Any) -> float:
    """Return the mean silhouette of the clustered images by centroids, in [-1, 1]; NaN with fewer than two clusters.

    `features` [N, d] are L2-normalized, `labels` [N] pseudo-labels (-1 = outlier, left out). The silhouette of an image
    is (b - a) / max(a, b), with its cosine distance a to the centroid of its own cluster and b to the nearest other
    one: Rousseeuw's silhouette (Journal of Computational and Applied Mathematics 1987) with centroids in the place of
    all members (Hruschka, de Castro and Campello, 2004), for which memory grows with N · clusters in blocks, not N².
    0 where a = b = 0.

    Raises UserError if the lengths differ.
    """
    matrix, given = as_matrix(features, "features"), np.asarray(labels)
    if given.shape != (len(matrix),):
        raise UserError(f"labels of shape {given.shape} do not fit {len(matrix)} features")
    kept = np.flatnonzero(given >= 0)
    clusters, own = np.unique(given[kept], return_inverse=True)
    if len(clusters) < 2:
        return float("nan")
    sums = np.zeros((len(clusters), matrix.shape[1]))
    np.add.at(sums, own, matrix[kept])
    centroids = (sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)).astype(np.float32)
    total = 0.0
    for start in range(0, len(kept), BLOCK):
        rows = slice(start, start + BLOCK)
        distance = 1 - (matrix[kept[rows]] @ centroids.T).astype(np.float64)
        place = np.arange(len(distance)), own[rows]
        a = np.maximum(distance[place], 0)
        distance[place] = np.inf
        b = np.maximum(distance.min(axis=1), 0)
        widest = np.maximum(a, b)
        total += float(np.divide(b - a, widest, out=np.zeros_like(a), where=widest > 0).sum())
    return total / len(kept)


def agreement(labels: Any, before: Any) -> float:
    """Return the adjusted Rand index of two pseudo-labelings [N] over the images that both cluster; NaN without any."""
    from sklearn.metrics import adjusted_rand_score  # a second to import

    now, then = np.asarray(labels), np.asarray(before)
    both = (now >= 0) & (then >= 0)
    return float(adjusted_rand_score(then[both], now[both])) if both.any() else float("nan")


def camera_bias(labels: Any, cameras: Any) -> float:
    """Return the normalized mutual information [0, 1] (arithmetic mean) of clusters and cameras over clustered images.

    Clusters that follow the camera instead of the identity raise it (Song, Park and Lee, ICLR 2025). NaN where no image
    is clustered, or all are from one camera.
    """
    from sklearn.metrics import normalized_mutual_info_score

    given, seen = np.asarray(labels), np.asarray(cameras)
    kept = given >= 0
    if len(np.unique(seen[kept])) < 2:
        return float("nan")
    return float(normalized_mutual_info_score(seen[kept], given[kept]))


Row = Mapping[str, Any]
RULES: dict[str, Callable[[Row], float]] = {
    "silhouette": lambda row: row["silhouette"],
    "silhouette x clustered share": lambda row: row["silhouette"] * (1 - row["outliers"]),
    "agreement with the epoch before": lambda row: row["agreement"],
}
"""What could choose an epoch: from a row of the history to a score, more is better."""
RULE = "silhouette x clustered share"
"""What does: an image without a label counts as one on the border of two clusters, of silhouette 0.

The silhouette alone chooses the checkpoint in CALR, and is high where only the easiest images are clustered.
"""


def score(row: Row, rule: str = RULE) -> float | None:
    """Return the score of an epoch by its row of the history; None where a figure is missing."""
    try:
        found = float(RULES[rule](row))
    except (KeyError, TypeError):
        return None
    return None if np.isnan(found) else found
