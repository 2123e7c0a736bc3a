"""What looks at hidden labels: label quality and test scores, for the history. Nothing here reaches the algorithm."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from harness.data.prepared import Prepared
from harness.evaluation import RankingResult, evaluate_ranking
from harness.labels.quality import label_quality
from harness.learning.data import UnlabeledSet
from harness.learning.extract import Embedder


class Evaluator:
    """Holds the target's identities. The epoch loop's observer owns it; algorithms are never given one."""

    def __init__(self, target: Prepared, device: torch.device) -> None:
        self._target, self._device = target, device
        self._train_ids = target.split("train").ids
        self._images: list[UnlabeledSet] = []

    def label_quality(self, labels: npt.NDArray[np.int64]) -> dict[str, float | int]:
        """Return clusters, outliers (share), ari, nmi and purity of pseudo-labels [N] of the training split."""
        quality = label_quality(labels, self._train_ids)
        return {
            "clusters": quality.clusters,
            "outliers": quality.outlier_share,
            "ari": quality.ari,
            "nmi": quality.nmi,
            "purity": quality.purity,
        }

    def scores(self, embed: Embedder, top_k: int = 0) -> RankingResult:
        """Return the target's test scores of an embedding function, protocol reid-v1."""
        query, gallery = self._target.split("query"), self._target.split("gallery")
        if not self._images:  # a GPU keeps them from one evaluation to the next
            self._images = [UnlabeledSet(split.images, split.cameras, self._device) for split in (query, gallery)]
        cameras = self._target.has_cameras
        return evaluate_ranking(
            embed(self._images[0]),
            embed(self._images[1]),
            query.ids,
            gallery.ids,
            query.cameras if cameras else None,
            gallery.cameras if cameras else None,
            top_k=top_k,
        )
