"""The source models that MMT and SSKD start from, each with its own loss.

Both releases forward one unlabeled target batch after each source batch, before the gradient step and without any loss:
it only moves the BatchNorm statistics towards the target. Hence these models belong to a source → target pair.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from harness import learning
from harness.learning.algorithm import Losses
from harness.specs.base import Frozen
from harness.specs.params import MultiSimilarity
from methods.supervised import SourceTraining

if TYPE_CHECKING:
    from torch import Tensor

    from harness.learning.data import LabeledBatch, UnlabeledBatch
    from harness.learning.networks import Embedding


class SourceWithTargetStatistics(SourceTraining):
    """Supervised training on the source; the target is seen by BatchNorm alone."""

    def begin_epoch(self, epoch: int) -> Iterator[tuple[LabeledBatch, UnlabeledBatch]]:
        run, compute, target = self.run, self.run.compute, self.run.unlabeled
        indices = learning.sampler.shuffled_batches(len(target), compute.batch.size, run.rng("sample target", epoch))
        rngs = [run.rng("augment target", epoch)]
        return zip(
            super().begin_epoch(epoch),
            target.batches(indices, compute.iterations, compute.augment, rngs),
            strict=True,
        )

    def step(self, batch: tuple[LabeledBatch, UnlabeledBatch]) -> Losses:
        source, target = batch
        with learning.optim.precision(self.run):
            embedding = self.network(source.views[0])
            with learning.torch.no_grad():
                self.network(target.views[0])
        return self.learn(embedding, source.ids)


class MMTSource(SourceWithTargetStatistics):
    """Label-smoothed cross-entropy + softmax-triplet (MMT, Sec. 3.1)."""

    class Params(Frozen):
        label_smoothing: float = Field(ge=0, lt=1, description="share of the label spread over all classes")

    params: Params

    def loss(self, embedding: Embedding, ids: Tensor) -> Losses:
        logits = self.classifier(embedding.neck)
        identity = learning.losses.smoothed_cross_entropy(logits, ids, self.params.label_smoothing)
        triplet = learning.losses.softmax_triplet(embedding.pooled, ids)
        return {"total": identity + triplet, "identity": identity, "triplet": triplet}


class SSKDSource(SourceWithTargetStatistics):
    """Label-smoothed cross-entropy + multi-similarity + batch nuclear-norm maximization (SSKD's release)."""

    class Params(Frozen):
        label_smoothing: float = Field(ge=0, lt=1, description="share of the label spread over all classes")
        multi_similarity: MultiSimilarity
        nuclear_norm_weight: float = Field(ge=0, description="of batch nuclear-norm maximization")

    params: Params

    def loss(self, embedding: Embedding, ids: Tensor) -> Losses:
        params, ms = self.params, self.params.multi_similarity
        logits = self.classifier(embedding.neck)
        identity = learning.losses.smoothed_cross_entropy(logits, ids, params.label_smoothing)
        metric = learning.losses.multi_similarity(
            embedding.pooled, ids, ms.threshold, ms.margin, ms.scale_positive, ms.scale_negative
        )
        norm = learning.losses.nuclear_norm(logits)
        total = identity + ms.weight * metric - params.nuclear_norm_weight * norm
        return {"total": total, "identity": identity, "multi_similarity": metric, "nuclear_norm": -norm}
