"""SpCL: self-paced contrastive learning with a memory of every instance.

Ge, Zhu, Chen, Zhao, Li, "Self-paced contrastive learning with hybrid memory for domain adaptive object re-ID" (NeurIPS
2020). The memory holds one row per target image (and, for uda, one per source class in front). Each epoch the memory is
clustered at three radii; only clusters that survive a tighter and a looser radius are kept, every other image is a
class of its own. Loss: softmax over all classes of the mean similarity to their rows. For uda, source and target
batches go through the network together, with BatchNorm statistics of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field, model_validator

from harness import learning
from harness.labels.clusterings import DBSCAN
from harness.learning.algorithm import Algorithm, Losses
from harness.specs.base import Frozen
from harness.specs.params import Labels

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor

    from harness.learning.data import LabeledBatch, UnlabeledBatch

    Batch = tuple[LabeledBatch, UnlabeledBatch] | tuple[UnlabeledBatch]

MEMORY = "memory"


class NestedLabels(Labels):
    """Clusterings at three radii, so of a kind that has one."""

    clustering: DBSCAN = Field(description="makes clusters of near images, at three radii")


class SpCL(Algorithm):
    """`usl` without a source, `uda` with one; the memory lives in the run's state, since it carries over epochs."""

    class Params(Frozen):
        temperature: float = Field(gt=0, description="τ of the similarity logits")
        memory_momentum: float = Field(ge=0, le=1, description="weight of the old row at each update")
        eps_gap: float = Field(gt=0, description="how much tighter and looser the two other radii are")
        independence_share: float = Field(gt=0, le=1, description="share of clusters that pass, which fixes the bound")
        labels: NestedLabels

        @model_validator(mode="after")
        def _tighter_radius(self) -> SpCL.Params:
            eps = self.labels.clustering.eps
            if eps <= self.eps_gap:
                raise ValueError(
                    f"eps_gap {self.eps_gap} is not below eps {eps} of labels.clustering: the tighter radius, "
                    "eps - eps_gap, would not be positive"
                )
            return self

    params: Params

    def build(self) -> None:
        run = self.run
        self.network = learning.initialize.network(run, "network")
        self.classes = run.source.classes if run.source else 0
        if run.source:
            learning.batchnorm.split_domains(self.network)
        self.optimizer = run.compute.optimizer.build([self.network])
        run.state.optimizers["adam"] = self.optimizer

    def begin_epoch(self, epoch: int) -> Iterator[Batch]:
        run, compute, batch, target = self.run, self.run.compute, self.run.compute.batch, self.run.unlabeled
        learning.optim.begin_epoch(self.optimizer, compute, epoch)
        if MEMORY not in run.state.tensors:
            run.state.tensors[MEMORY] = self._first_memory()
        self.memory = run.state.tensors[MEMORY] = run.state.tensors[MEMORY].to(run.device)
        labels = self._reliable_labels(self.memory[self.classes :])
        self.labels = learning.memory.as_labels(np.r_[np.arange(self.classes), self.classes + labels], run.device)
        self.sizes = learning.torch.bincount(self.labels)
        self.network.train()
        indices = learning.sampler.pk_batches(
            labels, target.cameras, batch.identities, batch.instances, run.rng("sample", epoch)
        )
        targets = target.batches(indices, compute.iterations, compute.augment, run.view_rngs(epoch))
        if run.source is None:
            return ((batch,) for batch in targets)
        source_indices = learning.sampler.pk_batches(
            run.source.ids, run.source.cameras, batch.identities, batch.instances, run.rng("sample source", epoch)
        )
        source_rngs = [run.rng("augment source", epoch)]
        return zip(
            run.source.labeled_batches(source_indices, compute.iterations, compute.augment, source_rngs),
            targets,
            strict=True,
        )

    def step(self, batch: Batch) -> Losses:
        with learning.optim.precision(self.run):
            features = self.network(learning.torch.cat([part.views[0] for part in batch])).normalized
        rows = [batch[-1].index + self.classes]
        if len(batch) == 2:
            rows.insert(0, batch[0].ids)
        losses = {}
        for name, row, part in zip(
            ("target", "source"), reversed(rows), reversed(features.chunk(len(rows))), strict=False
        ):
            logits = learning.memory.mean_similarity_logits(
                part, self.memory, self.labels, self.sizes, self.params.temperature
            )
            losses[name] = learning.losses.smoothed_cross_entropy(logits, self.labels[row], 0)
        losses["total"] = learning.torch.stack(list(losses.values())).sum()
        learning.optim.minimize(losses["total"], self.optimizer)
        instances = self.run.compute.batch.instances
        for row, part in zip(rows, features.detach().chunk(len(rows)), strict=True):
            learning.memory.update(self.memory, part, row, self.params.memory_momentum, instances)
        return losses

    def _first_memory(self) -> Tensor:
        """Source class centroids, then the features of the target images."""
        run = self.run
        target = learning.extract.features(self.network, run.unlabeled, run.compute.precision)
        if run.source is None:
            return target
        source = learning.extract.features(self.network, run.source, run.compute.precision)
        return learning.torch.cat(
            [learning.memory.centroids(source, learning.memory.as_labels(run.source.ids, run.device)), target]
        )

    def _reliable_labels(self, features: Tensor) -> npt.NDArray[np.int64]:
        """Cluster at three radii and keep what is independent and compact (Sec. 3.3); others become singletons."""
        params, values = self.params, self.run.state.values
        gap, distance, clustering = params.eps_gap, params.labels.distance, params.labels.clustering
        normal, tight, loose = learning.pseudo.nested(features, distance, clustering, (0, -gap, gap), self.run)
        normal = learning.pseudo.fall_back(normal, clustering, self.run)
        kept, values["independence_bound"] = learning.pseudo.self_paced(
            normal, tight, loose, params.independence_share, values.get("independence_bound")
        )
        learning.pseudo.remember(kept, features, self.run)
        return learning.pseudo.singletons(kept)

    def export(self) -> dict[str, Tensor]:
        return learning.batchnorm.target_tensors(self.network.state_dict())
