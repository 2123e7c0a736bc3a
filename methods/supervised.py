"""Supervised training: label-smoothed cross-entropy on the neck + batch-hard triplet on the pooled feature.

Luo et al., "Bag of tricks and a strong baseline for deep person re-identification" (CVPR workshops 2019).
Serves as the upper bound on a dataset, as the source model of `uda` methods, and as generic pre-training.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from harness import learning
from harness.learning.algorithm import Algorithm, Losses
from harness.specs.base import Frozen

if TYPE_CHECKING:
    from torch import Tensor

    from harness.learning.networks import Embedding


class SourceTraining(Algorithm):
    """One network, one classifier, true identities; `loss` is what a method adds."""

    def build(self) -> None:
        run = self.run
        self.data = run.labeled
        self.network = learning.initialize.network(run, "network")
        seed = int(run.rng("classifier").integers(2**63))
        self.classifier = learning.networks.classifier(self.data.classes, self.network.features, seed, run.device)
        run.state.modules["classifier"] = self.classifier
        self.optimizer = run.compute.optimizer.build([self.network, self.classifier])
        run.state.optimizers["adam"] = self.optimizer

    def begin_epoch(self, epoch: int) -> Iterator[Any]:
        run, compute, batch = self.run, self.run.compute, self.run.compute.batch
        learning.optim.begin_epoch(self.optimizer, compute, epoch)
        self.network.train()
        indices = learning.sampler.pk_batches(
            self.data.ids, self.data.cameras, batch.identities, batch.instances, run.rng("sample", epoch)
        )
        return self.data.labeled_batches(indices, compute.iterations, compute.augment, run.view_rngs(epoch))

    def step(self, batch: Any) -> Losses:
        with learning.optim.precision(self.run):
            embedding = self.network(batch.views[0])
        return self.learn(embedding, batch.ids)

    def learn(self, embedding: Embedding, ids: Tensor) -> Losses:
        """Do one gradient step on a batch's embedding, and return its losses."""
        losses = self.loss(embedding, ids)
        learning.optim.minimize(losses["total"], self.optimizer)
        return losses

    @abstractmethod
    def loss(self, embedding: Embedding, ids: Tensor) -> Losses:
        """Return the parts of the loss and their `total` for one batch."""

    def export(self) -> dict[str, Tensor]:
        return self.network.state_dict()


class Supervised(SourceTraining):
    """The strong baseline's two losses."""

    class Params(Frozen):
        label_smoothing: float = Field(ge=0, lt=1, description="share of the label spread over all classes")
        triplet_margin: float = Field(ge=0, description="on Euclidean distances of the features below")
        triplet_on: Literal["pooled", "normalized"] = Field(description="feature that the triplet loss sees")
        cosine_scale: float = Field(ge=0, description="0: linear logits; else scale · cosine to the class weights")

    params: Params

    def loss(self, embedding: Embedding, ids: Tensor) -> Losses:
        params = self.params
        logits = learning.losses.class_logits(embedding.neck, self.classifier.weight, params.cosine_scale)
        identity = learning.losses.smoothed_cross_entropy(logits, ids, params.label_smoothing)
        triplet = learning.losses.batch_hard_triplet(getattr(embedding, params.triplet_on), ids, params.triplet_margin)
        return {"total": identity + triplet, "identity": identity, "triplet": triplet}
