"""The UDA baseline: cluster, take the clusters for identities, train as if supervised; repeat.

Song et al., "Unsupervised domain adaptive re-identification: theory and practice" (UDAP, Pattern Recognition 2020), in
the form that MMT and SSKD compare themselves with: MMT with one network and without teachers. Classifier rows start at
the cluster centroids, label-smoothed cross-entropy and softmax-triplet, a fresh Adam every epoch.
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


class ClusterBaseline(Algorithm):
    """One network; a classifier with as many rows as clusters, remade every epoch."""

    class Params(Frozen):
        label_smoothing: float = Field(ge=0, lt=1, description="share of the label spread over all clusters")
        labels: Labels

    params: Params

    def build(self) -> None:
        self.network = learning.initialize.network(self.run, "network")

    def begin_epoch(self, epoch: int) -> Iterator[UnlabeledBatch]:
        run, compute, target = self.run, self.run.compute, self.run.unlabeled
        features = learning.extract.features(self.network, target, compute.precision)
        labels = learning.pseudo.assign(features, self.params.labels, run)
        self.labels = learning.memory.as_labels(labels, run.device)
        self.classifier = learning.networks.centroid_classifier(learning.memory.centroids(features, self.labels))
        self.optimizer = compute.optimizer.build([self.network, self.classifier])
        learning.optim.begin_epoch(self.optimizer, compute, epoch)
        self.network.train()
        indices = learning.sampler.pk_batches(
            labels, target.cameras, compute.batch.identities, compute.batch.instances, run.rng("sample", epoch)
        )
        return target.batches(indices, compute.iterations, compute.augment, run.view_rngs(epoch))

    def step(self, batch: UnlabeledBatch) -> Losses:
        params, labels = self.params, self.labels[batch.index]
        with learning.optim.precision(self.run):
            embedding = self.network(batch.views[0])
        logits = self.classifier(embedding.neck)
        identity = learning.losses.smoothed_cross_entropy(logits, labels, params.label_smoothing)
        triplet = learning.losses.softmax_triplet(embedding.pooled, labels)
        total = identity + triplet
        learning.optim.minimize(total, self.optimizer)
        return {"total": total, "identity": identity, "triplet": triplet}

    def export(self) -> dict[str, Tensor]:
        return self.network.state_dict()
