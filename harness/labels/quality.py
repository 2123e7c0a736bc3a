"""How good pseudo-labels are, judged by identities that the training never sees: a diagnostic, not an input."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.errors import UserError


@dataclass(frozen=True)
class LabelQuality:
    """Agreement of pseudo-labels with identities over the clustered images; NaN where no image is clustered.

    `ari` is the adjusted Rand index [-1, 1], `nmi` the normalized mutual information [0, 1] (arithmetic mean),
    `purity` the share of images whose identity is the commonest of their cluster, `outlier_share` the share of all
    images left out.
    """

    clusters: int
    outlier_share: float
    ari: float
    nmi: float
    purity: float


def label_quality(labels: Any, identities: Any) -> LabelQuality:
    """Compare pseudo-labels [N] (-1 = outlier) with identities [N] (integers or strings).

    Raises UserError if the lengths differ or are zero.
    """
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score  # a second to import

    found, truth = np.asarray(labels), np.asarray(identities)
    if found.shape != truth.shape or found.ndim != 1 or not len(found):
        raise UserError(f"{found.shape} labels do not fit {truth.shape} identities")
    kept = found >= 0
    if not kept.any():
        return LabelQuality(0, 1.0, float("nan"), float("nan"), float("nan"))
    clusters, cluster = np.unique(found[kept], return_inverse=True)
    _, identity = np.unique(truth[kept], return_inverse=True)
    pairs, counts = np.unique(np.stack([cluster, identity]), axis=1, return_counts=True)
    commonest = np.zeros(len(clusters), np.int64)
    np.maximum.at(commonest, pairs[0], counts)
    return LabelQuality(
        clusters=len(clusters),
        outlier_share=float(1 - kept.mean()),
        ari=float(adjusted_rand_score(identity, cluster)),
        nmi=float(normalized_mutual_info_score(identity, cluster)),
        purity=float(commonest.sum() / kept.sum()),
    )
