"""SSKD: self-supervised knowledge distillation from rotating mean teachers, over several views of each image.

Yin, Qiu, Zhang, Ma, Guo, "SSKD: self-supervised knowledge distillation for cross domain adaptive person
re-identification" (arXiv 2009.05972). Three peers from three source models. Identity learning: label-smoothed
cross-entropy with the clusters. Soft-label learning: student 1 learns from teacher 2, 2 from 3, 3 from 1. The released
code adds a multi-similarity loss and batch nuclear-norm maximization; the abstract names neither. Clustering,
classifiers, optimizer and teachers: see `peers.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from harness import learning
from harness.learning.algorithm import Losses
from harness.specs.params import MultiSimilarity
from methods.peers import PeerParams, Peers

if TYPE_CHECKING:
    from torch import Tensor

    from harness.learning.networks import Embedding


class SSKD(Peers):
    """The nuclear norms of the teachers' predictions, which the release adds without gradient, are left out."""

    class Params(PeerParams):
        soft_weight: float = Field(ge=0, le=1, description="w: share of soft-label learning; 1-w is identity learning")
        multi_similarity: MultiSimilarity
        nuclear_norm_weight: float = Field(ge=0, description="of batch nuclear-norm maximization")

    params: Params

    def loss(self, students: list[Embedding], teachers: list[Embedding], labels: Tensor) -> Losses:
        params, losses, torch = self.params, learning.losses, learning.torch
        logits, teacher_logits = self.logits(students, self.heads), self.logits(teachers, self.teacher_heads)
        teacher_of = [*range(1, params.peers), 0]
        identity = torch.stack([losses.smoothed_cross_entropy(z, labels, params.label_smoothing) for z in logits]).sum()
        parts = {"identity": identity}
        total = (1 - params.soft_weight) * identity
        if params.soft_weight:
            soft = torch.stack(
                [losses.soft_cross_entropy(z, teacher_logits[k]) for z, k in zip(logits, teacher_of, strict=True)]
            ).sum()
            parts["soft"], total = soft, total + params.soft_weight * soft
        if params.multi_similarity.weight:
            ms = params.multi_similarity
            metric = torch.stack(
                [
                    losses.multi_similarity(
                        s.pooled, labels, ms.threshold, ms.margin, ms.scale_positive, ms.scale_negative
                    )
                    for s in students
                ]
            ).sum()
            parts["multi_similarity"], total = metric, total + ms.weight * metric
        if params.nuclear_norm_weight:
            norm = torch.stack([losses.nuclear_norm(z) for z in logits]).sum()
            parts["nuclear_norm"], total = -norm, total - params.nuclear_norm_weight * norm
        return {"total": total, **parts}
