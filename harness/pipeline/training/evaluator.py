"""What looks at hidden labels: label quality and test scores, for the history. Nothing here reaches the algorithm."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from harness.data.prepared import Prepared
from harness.evaluation import RankingResult, evaluate_ranking
from harness.labels.label_free import agreement, camera_bias
from harness.labels.quality import label_quality
from harness.learning.data import UnlabeledSet
from harness.learning.extract import Embedder
from harness.learning.normalization import IMAGENET, Normalization


class Evaluator:
    """Holds the target's identities. The epoch loop's observer owns it; algorithms are never given one."""

    def __init__(self, target: Prepared, device: torch.device, normalization: Normalization = IMAGENET) -> None:
        self._target, self._device, self._normalization = target, device, normalization
        self._images: list[UnlabeledSet] = []
        train = target.split("train")
        self._train_ids, self._train_cameras = train.ids, train.cameras

    @property
    def has_test(self) -> bool:
        """Whether there is anything to score: labeled query and gallery images."""
        return self._target.evaluated

    def label_free(
        self, labels: npt.NDArray[np.int64], silhouette: float, before: npt.NDArray[np.int64] | None
    ) -> dict[str, float]:
        """Return what can be said of pseudo-labels [N] without identities; `before` are those of the epoch before."""
        figures = {"silhouette": silhouette}
        if before is not None:
            figures["agreement"] = agreement(labels, before)
        if self._target.has_cameras:
            figures["camera_bias"] = camera_bias(labels, self._train_cameras)
        return {name: value for name, value in figures.items() if not math.isnan(value)}

    def label_quality(self, labels: npt.NDArray[np.int64]) -> dict[str, float | int]:
        """Return clusters and outliers (share) of pseudo-labels [N]; ari, nmi and purity too if identities exist."""
        if not self._target.has_ids:
            clustered = labels[labels >= 0]
            return {"clusters": len(np.unique(clustered)), "outliers": 1 - len(clustered) / len(labels)}
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
        return self.ranked(*self.embedded(embed), top_k)

    def embedded(self, embed: Embedder) -> tuple[Any, Any]:
        """Return the features of query and gallery; a GPU keeps their images from one evaluation to the next."""
        if not self._images:
            splits = (self._target.split("query"), self._target.split("gallery"))
            self._images = [
                UnlabeledSet(split.images, split.cameras, self._device, self._normalization) for split in splits
            ]
        query, gallery = self._images
        return embed(query), embed(gallery)

    def ranked(self, query_features: Any, gallery_features: Any, top_k: int = 0) -> RankingResult:
        """Return the target's test scores of the features of its query and gallery, protocol reid-v1."""
        query, gallery = self._target.split("query"), self._target.split("gallery")
        cameras = self._target.has_cameras
        return evaluate_ranking(
            query_features,
            gallery_features,
            query.ids,
            gallery.ids,
            query.cameras if cameras else None,
            gallery.cameras if cameras else None,
            top_k=top_k,
        )
