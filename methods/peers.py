"""What MMT and SSKD share: several students, each with a slow teacher, that learn from one clustering of the target.

Per epoch: features of the target by every teacher, their normalized mean, Jaccard distance, clustering (DBSCAN with a
radius fixed in the first epoch), outliers dropped, classifier rows of all networks set to the cluster centroids, and a
fresh Adam. Student k and teacher k see view k of each image. Teachers follow their students after every iteration,
parameters only; they run in training mode, so their BatchNorm statistics come from their own forward passes.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from harness import learning
from harness.errors import UserError
from harness.learning.algorithm import Algorithm, Losses
from harness.specs.base import Frozen
from harness.specs.params import Labels

if TYPE_CHECKING:
    from torch import Tensor, nn

    from harness.learning.data import UnlabeledBatch
    from harness.learning.networks import Embedding


class PeerParams(Frozen):
    """Hyper-parameters of every method with peers and mean teachers."""

    peers: int = Field(ge=2, le=3, description="students, each with its own start and its own teacher")
    views: Literal["own", "same"] = Field(description="'own': each peer sees its own augmentation; 'same': all see one")
    teacher_momentum: float = Field(
        ge=0, lt=1, description="bound of the teachers' momentum; 0: the teacher is the student"
    )
    label_smoothing: float = Field(ge=0, lt=1, description="share of the hard label spread over all clusters")
    labels: Labels


class Peers(Algorithm):
    """`loss` is what a method adds; the students are trained together, the first teacher is evaluated."""

    params: PeerParams

    def build(self) -> None:
        run, peers = self.run, range(1, self.params.peers + 1)
        if run.init and len(run.init) < len(peers):
            raise UserError(f"init: {len(peers)} peers need as many starts, the spec names {len(run.init)}")
        self.students = [learning.initialize.network(run, f"student{k}", k - 1) for k in peers]
        self.teachers = [learning.ema.copy_of(student) for student in self.students]
        run.state.modules |= {f"teacher{k}": teacher for k, teacher in zip(peers, self.teachers, strict=True)}

    def begin_epoch(self, epoch: int) -> Iterator[UnlabeledBatch]:
        run, compute, target = self.run, self.run.compute, self.run.unlabeled
        parts = [learning.extract.features(teacher, target, compute.precision) for teacher in self.teachers]
        features = learning.extract.mean(parts)
        labels = learning.pseudo.assign(features, self.params.labels, run)
        self.labels = learning.memory.as_labels(labels, run.device)
        centroids = learning.memory.centroids(features, self.labels)
        self.heads = [learning.networks.centroid_classifier(centroids) for _ in self.students]
        self.teacher_heads = [learning.ema.copy_of(head) for head in self.heads]
        slow, fast = (*self.teachers, *self.teacher_heads), (*self.students, *self.heads)
        self.ema = learning.ema.EMA(slow, fast)
        self.optimizer = compute.optimizer.build(fast)
        learning.optim.begin_epoch(self.optimizer, compute, epoch)
        for network in (*self.students, *self.teachers):
            network.train()
        self.done = epoch * compute.iterations
        indices = learning.sampler.pk_batches(
            labels, target.cameras, compute.batch.identities, compute.batch.instances, run.rng("sample", epoch)
        )
        views = self.params.peers if self.params.views == "own" else 1
        return target.batches(indices, compute.iterations, compute.augment, run.view_rngs(epoch, views))

    def step(self, batch: UnlabeledBatch) -> Losses:
        views = batch.views if self.params.views == "own" else batch.views * self.params.peers
        with learning.optim.precision(self.run):
            students = [network(view) for network, view in zip(self.students, views, strict=True)]
            with learning.torch.no_grad():
                teachers = [network(view) for network, view in zip(self.teachers, views, strict=True)]
        losses = self.loss(students, teachers, self.labels[batch.index])
        learning.optim.minimize(losses["total"], self.optimizer)
        self.ema.update(self.params.teacher_momentum, self.done)
        self.done += 1
        return losses

    @abstractmethod
    def loss(self, students: list[Embedding], teachers: list[Embedding], labels: Tensor) -> Losses:
        """Return the parts of the loss and their weighted `total` for one batch, one embedding per peer."""

    def logits(self, embeddings: list[Embedding], heads: list[nn.Linear]) -> list[Tensor]:
        """Return each peer's cluster logits [B, C]."""
        return [head(embedding.neck) for embedding, head in zip(embeddings, heads, strict=True)]

    def export(self) -> dict[str, Tensor]:
        """The first teacher alone, chosen beforehand; the papers take the teacher that is best on the test set."""
        return self.teachers[0].state_dict()
