"""DKD-MPL: Cluster Contrast with dual knowledge distillation on multiview pseudo-labels.

Zhu, Peng, Yan, "Dual knowledge distillation on multiview pseudo labels for unsupervised person re-identification" (IEEE
TMM 2024). Reconstructed from the abstract, since the text and code are not public; the spec names every choice.

View 1, the epoch: logits of the features and centroids that this epoch's clustering was made of (teacher of GKD).
View 2, the query: logits of the image now, against the memory now (the student).
View 3, the positive anchor: logits of another image of the same cluster (teacher of SKD).
L = L_CC + λ_g · KL(epoch ‖ query) + λ_s · KL(anchor ‖ query), teachers without gradient, temperature T.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from harness import learning
from methods.cluster_contrast import ClusterContrast

if TYPE_CHECKING:
    from torch import Tensor

    from harness.learning.data import UnlabeledBatch


class DKDMPL(ClusterContrast):
    """With both weights 0 it is Cluster Contrast, bit for bit."""

    class Params(ClusterContrast.Params):
        gkd_weight: float = Field(ge=0, description="λ_g, of global distillation from the epoch's clustering")
        skd_weight: float = Field(ge=0, description="λ_s, of self-distillation from the positive anchor")
        distillation_temperature: float = Field(gt=0, description="T, softens teacher and student alike")
        gkd_teacher: Literal["soft", "one-hot"] = Field(
            description="the epoch's distribution over clusters, or its label"
        )
        anchor: Literal["random", "hardest", "augmented", "prototype"] = Field(
            description="another image of the cluster in the batch (random, or least similar), a second "
            "augmentation of the image itself, or the cluster's centroid"
        )
        skd_direction: Literal["one-way", "symmetric"] = Field(description="whether the query also teaches its anchor")

    params: Params

    def begin_epoch(self, epoch: int) -> Iterator[UnlabeledBatch]:
        batches = super().begin_epoch(epoch)
        self.epoch_centroids = self.memory.clone()
        self.anchor_rng = self.run.rng("anchor", epoch)
        return batches

    def views(self) -> int:
        return 2 if self.params.skd_weight and self.params.anchor == "augmented" else 1

    def loss(self, batch: UnlabeledBatch, features: list[Tensor], labels: Tensor) -> dict[str, Tensor]:
        losses, params = super().loss(batch, features, labels), self.params
        student = self.logits(features[0])
        if params.gkd_weight:
            losses["gkd"] = learning.losses.distillation(
                student, self._epoch_logits(batch, labels), params.distillation_temperature
            )
            losses["total"] = losses["total"] + params.gkd_weight * losses["gkd"]
        if params.skd_weight:
            losses["skd"] = self._self_distillation(student, self.logits(self._anchors(features, labels)))
            losses["total"] = losses["total"] + params.skd_weight * losses["skd"]
        return losses

    def _epoch_logits(self, batch: UnlabeledBatch, labels: Tensor) -> Tensor:
        """View 1: what the epoch's clustering says of the batch's images, [B, C]."""
        logits = self.features[batch.index] @ self.epoch_centroids.T / self.params.temperature
        if self.params.gkd_teacher == "soft":
            return logits
        return learning.losses.one_hot_logits(labels, logits.shape[1])

    def _anchors(self, features: list[Tensor], labels: Tensor) -> Tensor:
        """View 3: the features of each query's positive anchor, [B, d]; an image alone in its cluster is its own."""
        if self.params.anchor == "augmented":
            return features[1]
        if self.params.anchor == "prototype":
            return self.epoch_centroids[labels]
        query = features[0]
        if self.params.anchor == "hardest":
            return query[learning.sampler.hardest_positives(query.detach(), labels)]
        return query[learning.sampler.random_positives(labels, self.anchor_rng)]

    def _self_distillation(self, query: Tensor, anchor: Tensor) -> Tensor:
        temperature = self.params.distillation_temperature
        loss = learning.losses.distillation(query, anchor, temperature)
        if self.params.skd_direction == "symmetric":
            loss = (loss + learning.losses.distillation(anchor, query, temperature)) / 2
        return loss
