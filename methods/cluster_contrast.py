"""Cluster Contrast: clusters are the classes, a momentum memory of their centroids is the classifier.

Dai et al., "Cluster contrast for unsupervised person re-identification" (ACCV 2022). Each epoch: features of all
images, Jaccard distance, clustering, outliers dropped, memory rebuilt from the normalized cluster means; then InfoNCE
of each image against the memory, which follows the images of the batch one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from harness import learning
from harness.learning.algorithm import Algorithm, Losses
from harness.specs.base import Frozen
from harness.specs.params import Labels

if TYPE_CHECKING:
    from torch import Tensor

    from harness.learning.data import UnlabeledBatch


class Memory(Frozen):
    """How the cluster memory follows the batch."""

    momentum: float = Field(ge=0, le=1, description="weight of the old entry at each update")
    hard: bool = Field(description="one update per cluster, by its least similar image, instead of one per image")


class ClusterContrast(Algorithm):
    """One network, one memory [clusters, d], rebuilt every epoch."""

    class Params(Frozen):
        temperature: float = Field(gt=0, description="τ of the similarity logits")
        memory: Memory
        labels: Labels

    params: Params

    def build(self) -> None:
        self.network = learning.initialize.network(self.run, "network")
        self.optimizer = self.run.compute.optimizer.build([self.network])
        self.run.state.optimizers["adam"] = self.optimizer

    def labels_in(self, epoch: int) -> Labels:
        """Return how epoch `epoch` makes its pseudo-labels."""
        return self.params.labels

    def begin_epoch(self, epoch: int) -> Iterator[UnlabeledBatch]:
        run, compute, target = self.run, self.run.compute, self.run.unlabeled
        learning.optim.begin_epoch(self.optimizer, compute, epoch)
        features = learning.extract.features(self.network, target, compute.precision)
        labels = learning.pseudo.assign(features, self.labels_in(epoch), run)
        self.labels = learning.memory.as_labels(labels, run.device)
        self.memory = learning.memory.centroids(features, self.labels)
        self.features = features
        self.network.train()
        indices = learning.sampler.pk_batches(
            labels, target.cameras, compute.batch.identities, compute.batch.instances, run.rng("sample", epoch)
        )
        return target.batches(indices, compute.iterations, compute.augment, run.view_rngs(epoch))

    def step(self, batch: UnlabeledBatch) -> Losses:
        with learning.optim.precision(self.run):
            features = self.network(batch.views[0]).normalized
        labels = self.labels[batch.index]
        losses = self.loss(batch, features, labels)
        learning.optim.minimize(losses["total"], self.optimizer)
        query, momentum = features.detach(), self.params.memory.momentum
        if self.params.memory.hard:
            learning.memory.update_hard(self.memory, query, labels, momentum)
        else:
            learning.memory.update(self.memory, query, labels, momentum, self.run.compute.batch.instances)
        return losses

    def loss(self, batch: UnlabeledBatch, features: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """InfoNCE of features [B, d] against the memory as it is before this batch updates it."""
        return {"total": learning.losses.smoothed_cross_entropy(self.logits(features), labels, 0)}

    def logits(self, features: Tensor) -> Tensor:
        """Similarity of features [B, d] to every cluster over τ: [B, C]."""
        return learning.memory.similarity_logits(features, self.memory, self.params.temperature)

    def export(self) -> dict[str, Tensor]:
        return self.network.state_dict()
