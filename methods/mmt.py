"""Mutual mean-teaching: two peers teach each other through their mean teachers, with hard and soft pseudo-labels.

Ge, Chen, Li, "Mutual mean-teaching: pseudo label refinery for unsupervised domain adaptation on person
re-identification" (ICLR 2020), in its DBSCAN form. Clustering, classifiers, optimizer and teachers: see `peers.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from harness import learning
from harness.learning.algorithm import Losses
from methods.peers import PeerParams, Peers

if TYPE_CHECKING:
    from torch import Tensor

    from harness.learning.networks import Embedding


class MMT(Peers):
    """Student 1 learns from teacher 2, student 2 from teacher 1."""

    class Params(PeerParams):
        soft_identity_weight: float = Field(ge=0, le=1, description="share of the soft in the cross-entropy (Eq. 9)")
        soft_triplet_weight: float = Field(ge=0, le=1, description="share of the soft in the triplet loss (Eq. 9)")

    params: Params

    def loss(self, students: list[Embedding], teachers: list[Embedding], labels: Tensor) -> Losses:
        params, losses, torch = self.params, learning.losses, learning.torch
        logits, teacher_logits = self.logits(students, self.heads), self.logits(teachers, self.teacher_heads)
        other = [*range(1, params.peers), 0]
        identity = torch.stack([losses.smoothed_cross_entropy(z, labels, params.label_smoothing) for z in logits]).sum()
        soft_identity = torch.stack(
            [losses.soft_cross_entropy(z, teacher_logits[k]) for z, k in zip(logits, other, strict=True)]
        ).sum()
        triplet = torch.stack([losses.softmax_triplet(student.pooled, labels) for student in students]).sum()
        soft_triplet = torch.stack(
            [
                losses.soft_softmax_triplet(student.pooled, teachers[k].pooled, labels)
                for student, k in zip(students, other, strict=True)
            ]
        ).sum()
        w_id, w_tri = params.soft_identity_weight, params.soft_triplet_weight
        total = (1 - w_id) * identity + w_id * soft_identity + (1 - w_tri) * triplet + w_tri * soft_triplet
        return {
            "total": total,
            "identity": identity,
            "soft_identity": soft_identity,
            "triplet": triplet,
            "soft_triplet": soft_triplet,
        }
