"""O2CAP: proxies of clusters within cameras, associated across cameras offline by clustering and online by similarity.

Wang, Li, Lai, Gong, Hua, "Offline-online associated camera-aware proxies for unsupervised person re-identification"
(IEEE TIP 2022). Each epoch: clusters by the Jaccard distance, parted by camera into proxies; a momentum memory of their
centroids; batches with equally many images of each proxy. Two contrasts of an image with the proxies:

offline  all proxies of its cluster are positives, against the hardest of the others;
online   s = w·(image, proxy) + (1-w)·(its own proxy, proxy); of the best proxy of each camera by s the best few are
         positives, against the hardest of all others by s.

Each is the mean over the images of a camera, summed over the cameras in the batch, as in the release.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field, PositiveInt

from harness import learning
from harness.learning.algorithm import Algorithm, Losses
from harness.specs.base import Frozen
from harness.specs.params import Labels

if TYPE_CHECKING:
    from torch import Tensor

    from harness.learning.data import UnlabeledBatch


class O2CAP(Algorithm):
    """One network, one memory of proxies [P, d], rebuilt every epoch."""

    class Params(Frozen):
        temperature: float = Field(gt=0, description="τ of the similarities to proxies")
        momentum: float = Field(ge=0, le=1, description="weight of the old proxy at each update")
        offline_weight: float = Field(ge=0, description="weight of the association by clustering")
        online_weight: float = Field(ge=0, description="weight of the association by similarity")
        image_share: float = Field(ge=0, le=1, description="w, of the image's own similarity in the online one")
        positives: PositiveInt = Field(description="proxies of different cameras that are associated online")
        negatives: PositiveInt = Field(description="proxies that count as negatives, the hardest")
        labels: Labels

        @property
        def uses_cameras(self) -> bool:
            """It is nothing without the cameras of the images."""
            return True

    params: Params

    def build(self) -> None:
        self.network = learning.initialize.network(self.run, "network")
        self.optimizer = self.run.compute.optimizer.build([self.network])
        self.run.state.optimizers["adam"] = self.optimizer

    def begin_epoch(self, epoch: int) -> Iterator[UnlabeledBatch]:
        run, compute, target = self.run, self.run.compute, self.run.unlabeled
        learning.optim.begin_epoch(self.optimizer, compute, epoch)
        features = learning.extract.features(self.network, target, compute.precision)
        labels = learning.pseudo.assign(features, self.params.labels, run)
        self.labels = learning.memory.as_labels(labels, run.device)
        self.proxies = learning.proxies.proxies_of(labels, target.known_cameras, run.device)
        self.cameras = int(self.proxies.cameras.max()) + 1
        self.memory = learning.memory.centroids(features, self.proxies.of_image)
        self.network.train()
        indices = learning.sampler.balanced_batches(
            self.proxies.of_image.cpu().numpy(),
            compute.batch.identities,
            compute.batch.instances,
            run.rng("sample", epoch),
        )
        return target.batches(indices, compute.iterations, compute.augment, run.view_rngs(epoch))

    def step(self, batch: UnlabeledBatch) -> Losses:
        with learning.optim.precision(self.run):
            features = self.network(batch.views[0]).normalized
        own = self.proxies.of_image[batch.index]
        losses = self.loss(features, own)
        learning.optim.minimize(losses["total"], self.optimizer)
        instances = self.run.compute.batch.instances
        learning.memory.update(self.memory, features.detach(), own, self.params.momentum, instances)
        return losses

    def loss(self, features: Tensor, own: Tensor) -> dict[str, Tensor]:
        """The losses of features [B, d] of images with the proxies `own` [B], on the memory before they update it."""
        params, proxies = self.params, self.proxies
        logits = learning.memory.similarity_logits(features, self.memory, params.temperature)
        camera = proxies.cameras[own]
        weight = 1 / (camera[:, None] == camera).sum(1)  # a mean per camera, and the sum of these means
        losses = {}
        if params.offline_weight:
            same = proxies.clusters[own][:, None] == proxies.clusters
            contrast = learning.losses.proxy_contrast(logits, same, ~same, params.negatives, logits)
            losses["offline"] = (weight * contrast).sum()
        if params.online_weight:
            similarity = self._similarity(logits.detach() * params.temperature, own)
            near = self._nearest(similarity)
            contrast = learning.losses.proxy_contrast(logits, near, ~near, params.negatives, similarity)
            losses["online"] = (weight * contrast).sum()
        weights = {"offline": params.offline_weight, "online": params.online_weight}
        total = learning.torch.stack([weights[name] * loss for name, loss in losses.items()]).sum()
        return {"total": total} | losses

    def _similarity(self, similarity: Tensor, own: Tensor) -> Tensor:
        """Similarity [B, P] of images to proxies, of their own proxies to proxies, weighed."""
        share = self.params.image_share
        return share * similarity + (1 - share) * self.memory[own] @ self.memory.T

    def _nearest(self, similarity: Tensor) -> Tensor:
        """Which of the best proxies of each camera are the best: bool [B, P]."""
        images, proxies = similarity.shape
        elsewhere = learning.torch.arange(self.cameras, device=similarity.device)[:, None] != self.proxies.cameras
        best, place = similarity[:, None].masked_fill(elsewhere, -learning.torch.inf).max(2)
        first = best.topk(min(self.params.positives, self.cameras), dim=1).indices
        chosen = learning.torch.zeros(images, proxies, dtype=learning.torch.bool, device=similarity.device)
        return chosen.scatter_(1, place.gather(1, first), True)

    def export(self) -> dict[str, Tensor]:
        return self.network.state_dict()
