"""Supervised training: label-smoothed cross-entropy on the neck + batch-hard triplet on the pooled feature.

Luo et al., "Bag of tricks and a strong baseline for deep person re-identification" (CVPR workshops 2019).
Serves as the upper bound on a dataset, as the source model of `uda` methods, and as generic pre-training.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from harness import learning
from harness.learning.algorithm import Algorithm, Losses
from harness.specs.base import Frozen

if TYPE_CHECKING:
    from torch import Tensor

    from harness.learning.data import LabelledBatch


class Supervised(Algorithm):
    """One network, one classifier, true identities."""

    class Params(Frozen):
        label_smoothing: float = Field(ge=0, lt=1, description="share of the label spread over all classes")
        triplet_margin: float = Field(ge=0, description="on Euclidean distances of the features below")
        triplet_on: str = Field(pattern="^(pooled|normalised)$", description="feature that the triplet loss sees")
        cosine_scale: float = Field(ge=0, description="0: linear logits; else scale · cosine to the class weights")

    params: Params

    def build(self) -> None:
        run = self.run
        self.data = run.labelled
        self.network = learning.initialise.network(run, "network")
        seed = int(run.rng("classifier").integers(2**63))
        self.classifier = learning.networks.classifier(self.data.classes, self.network.features, seed, run.device)
        run.state.modules["classifier"] = self.classifier
        self.optimiser = learning.optim.adam([self.network, self.classifier], run.compute.optimiser)
        run.state.optimisers["adam"] = self.optimiser

    def begin_epoch(self, epoch: int) -> Iterator[LabelledBatch]:
        run, compute = self.run, self.run.compute
        learning.optim.begin_epoch(self.optimiser, compute, epoch)
        self.network.train()
        indices = learning.sampler.pk_batches(
            self.data.ids,
            self.data.cameras,
            compute.batch.identities,
            compute.batch.instances,
            run.rng("sample", epoch),
        )
        return self.data.labelled_batches(indices, compute.iterations, compute.augment, run.rng("augment", epoch))

    def step(self, batch: LabelledBatch) -> Losses:
        params = self.params
        with learning.optim.precision(self.run):
            embedding = self.network(batch.views[0])
        logits = learning.losses.class_logits(embedding.neck, self.classifier.weight, params.cosine_scale)
        identity = learning.losses.smoothed_cross_entropy(logits, batch.ids, params.label_smoothing)
        features = getattr(embedding, params.triplet_on)
        triplet = learning.losses.batch_hard_triplet(features, batch.ids, params.triplet_margin)
        total = identity + triplet
        learning.optim.minimise(total, self.optimiser)
        return {"total": total, "identity": identity, "triplet": triplet}

    def export(self) -> dict[str, Tensor]:
        return self.network.state_dict()
