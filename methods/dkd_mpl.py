"""DKD-MPL: Cluster Contrast with dual knowledge distillation on multiview pseudo-labels.

Zhu, Peng, Yan, "Dual knowledge distillation on multiview pseudo labels for unsupervised person re-identification" (IEEE
TMM 2024). Reconstructed from the abstract, since the text and code are not public; the spec names every choice.

View 1, the epoch: logits of the features and centroids that this epoch's clustering was made of (teacher of GKD).
View 2, the query: logits of the image now, against the memory now (the student).
View 3, the positive anchor: logits of the query's cluster, its row of the memory (teacher of SKD).
L = L_CC + λ_g · KL(epoch ‖ query) + λ_s · KL(anchor ‖ query), teachers without gradient, temperature T.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

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

    params: Params

    def begin_epoch(self, epoch: int) -> Iterator[UnlabeledBatch]:
        batches = super().begin_epoch(epoch)
        self.epoch_centroids = self.memory.clone()
        return batches

    def loss(self, batch: UnlabeledBatch, features: Tensor, labels: Tensor) -> dict[str, Tensor]:
        losses, params, distillation = super().loss(batch, features, labels), self.params, learning.losses.distillation
        student, temperature = self.logits(features), params.distillation_temperature
        if params.gkd_weight:
            losses["gkd"] = distillation(student, self._epoch_logits(batch), temperature)
            losses["total"] = losses["total"] + params.gkd_weight * losses["gkd"]
        if params.skd_weight:
            losses["skd"] = distillation(student, self.logits(self.memory[labels]), temperature)
            losses["total"] = losses["total"] + params.skd_weight * losses["skd"]
        return losses

    def _epoch_logits(self, batch: UnlabeledBatch) -> Tensor:
        """View 1: what the epoch's clustering says of the batch's images, [B, C]."""
        return self.features[batch.index] @ self.epoch_centroids.T / self.params.temperature
