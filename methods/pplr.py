"""PPLR: global and part features correct each other's pseudo-labels; with cameras, proxies pull the cameras together.

Cho, Kim, Hong, Yoon, "Part-based pseudo label refinement for unsupervised person re-identification" (CVPR 2022). Each
epoch: features of whole images and of horizontal stripes; clusters of the former are the classes, outliers are dropped,
every classifier's rows start at its own features' centroids. How far a stripe can be trusted on an image is the
agreement of its neighbours with the whole image's: a_p = |N_g & N_p| / |N_g + N_p| of k neighbours each.

L = H(β·y + (1-β)·Σ_p softmax_p(a)·q_p, q_g)                    the parts refine the label of the whole image
  + mean_p [a_p·H(y, q_p) + (1-a_p)·KL(uniform ‖ q_p)]          labels are smoothed where a part disagrees
  + softmax triplet on the whole image's feature
  + λ·(C(f_g) + mean_p C(f_p))                                  C: contrast with the cluster's proxies in other cameras
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field, NonNegativeInt, PositiveInt

from harness import learning
from harness.learning.algorithm import Algorithm, Losses
from harness.specs.base import Frozen
from harness.specs.params import Labels

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from harness.learning.data import UnlabeledBatch
    from harness.learning.parts import PartEmbedding


class InterCamera(Frozen):
    """Contrast of an image with the proxies of its cluster in other cameras."""

    weight: float = Field(ge=0, description="λ in the total loss; 0: cameras are not used")
    temperature: float = Field(gt=0, description="τ of the similarities to proxies")
    negatives: PositiveInt = Field(description="proxies of other clusters that count, the hardest")


class PPLR(Algorithm):
    """One network with part necks, of which only the global feature is evaluated; fresh classifiers every epoch."""

    class Params(Frozen):
        parts: int = Field(ge=2, description="horizontal stripes")
        agreement_neighbours: PositiveInt = Field(description="k, neighbours that are compared, without the image")
        refinement: float = Field(ge=0, le=1, description="β, share of the hard label in the refined one")
        label_smoothing: float = Field(ge=0, lt=1, description="of the parts' labels before `agreement_from`")
        agreement_from: NonNegativeInt = Field(description="epoch (from 0) from which agreement smooths part labels")
        inter_camera: InterCamera
        labels: Labels

        @property
        def uses_cameras(self) -> bool:
            """Whether it is nothing without the cameras of the images."""
            return self.inter_camera.weight > 0

    params: Params

    def build(self) -> None:
        network = learning.initialize.network(self.run, "network")
        self.network = learning.parts.with_parts(self.run, network, self.params.parts)
        self.optimizer = self.run.compute.optimizer.build([self.network])
        self.run.state.optimizers["adam"] = self.optimizer

    def begin_epoch(self, epoch: int) -> Iterator[UnlabeledBatch]:
        run, compute, target = self.run, self.run.compute, self.run.unlabeled
        features = learning.extract.features(self.network, target, compute.precision)  # type: ignore[arg-type]
        spaces = [space.contiguous() for space in features.unbind(1)]
        labels = learning.pseudo.assign(spaces[0], self.params.labels, run)
        self.labels = learning.memory.as_labels(labels, run.device)
        scores = cross_agreement(spaces, self.params.agreement_neighbours)
        self.agreement = learning.torch.from_numpy(scores).to(run.device)
        self.aware = epoch >= self.params.agreement_from
        self.heads = [
            learning.networks.centroid_classifier(learning.memory.centroids(space, self.labels)) for space in spaces
        ]
        self.head_optimizer = compute.optimizer.build(self.heads)
        for optimizer in (self.optimizer, self.head_optimizer):
            learning.optim.begin_epoch(optimizer, compute, epoch)
        if self.params.uses_cameras:
            self.proxies = learning.proxies.proxies_of(labels, target.known_cameras, run.device)
            self.centers = [learning.memory.centroids(space, self.proxies.of_image) for space in spaces]
        self.network.train()
        indices = learning.sampler.pk_batches(
            labels, target.cameras, compute.batch.identities, compute.batch.instances, run.rng("sample", epoch)
        )
        return target.batches(indices, compute.iterations, compute.augment, run.view_rngs(epoch))

    def step(self, batch: UnlabeledBatch) -> Losses:
        with learning.optim.precision(self.run):
            embedding = self.network(batch.views[0])
        losses = self.loss(embedding, batch.index)
        learning.optim.minimize(losses["total"], self.optimizer, self.head_optimizer)
        return losses

    def loss(self, embedding: PartEmbedding, index: Tensor) -> dict[str, Tensor]:
        """The losses of embeddings of the images `index` [B]."""
        labels, agreement = self.labels[index], self.agreement[index]
        features = [embedding.whole, *embedding.parts.unbind(1)]
        whole, *parts = (head(feature) for head, feature in zip(self.heads, features, strict=True))
        stacked = learning.torch.stack(parts, 1)
        losses = {
            "identity": self._refined(whole, stacked, labels, agreement),
            "parts": self._smoothed(stacked, labels, agreement),
            "triplet": learning.losses.softmax_triplet(embedding.whole, labels),
        }
        total = losses["identity"] + losses["parts"] + losses["triplet"]
        if self.params.uses_cameras:
            first, *others = (
                self._inter_camera(feature, centers, index)
                for feature, centers in zip(embedding.normalized.unbind(1), self.centers, strict=True)
            )
            losses["cameras"] = first + learning.torch.stack(others).mean()
            total = total + self.params.inter_camera.weight * losses["cameras"]
        return {"total": total} | losses

    def _refined(self, whole: Tensor, parts: Tensor, labels: Tensor, agreement: Tensor) -> Tensor:
        """Cross-entropy of logits [B, C] with labels that the parts' predictions [B, parts, C] refine."""
        trusted = (agreement.softmax(1)[:, :, None] * parts.softmax(2)).sum(1).detach()
        share, log_whole = self.params.refinement, whole.log_softmax(1)
        hard = learning.losses.smoothed_cross_entropy(whole, labels, 0)
        return share * hard - (1 - share) * (trusted * log_whole).sum(1).mean()

    def _smoothed(self, parts: Tensor, labels: Tensor, agreement: Tensor) -> Tensor:
        """Cross-entropy of the parts' logits [B, parts, C], smoothed where they do not agree."""
        if not self.aware:
            repeated = labels.repeat_interleave(parts.shape[1])
            return learning.losses.smoothed_cross_entropy(parts.flatten(0, 1), repeated, self.params.label_smoothing)
        log_parts = parts.log_softmax(2)
        own = labels[:, None, None].expand(-1, parts.shape[1], 1)
        hard = -log_parts.gather(2, own)[:, :, 0]
        divergence = -log_parts.mean(2) - np.log(parts.shape[2])  # of the prediction from the uniform distribution
        smoothed: Tensor = agreement * hard + (1 - agreement) * divergence
        return smoothed.mean()

    def _inter_camera(self, features: Tensor, centers: Tensor, index: Tensor) -> Tensor:
        """Contrast of features [B, d] with their clusters' proxies in other cameras."""
        inter, proxies = self.params.inter_camera, self.proxies
        own = proxies.of_image[index]
        same = proxies.clusters[own][:, None] == proxies.clusters
        elsewhere = proxies.cameras[own][:, None] != proxies.cameras
        logits = learning.memory.similarity_logits(features, centers, inter.temperature)
        return learning.losses.proxy_contrast(logits, same & elsewhere, ~same, inter.negatives, logits).mean()

    def export(self) -> dict[str, Tensor]:
        return self.network.network.state_dict()


def cross_agreement(spaces: list[Tensor], k: int) -> NDArray[np.float32]:
    """Return how far the k nearest neighbours in each further space are those in the first: IoU, [N, spaces - 1].

    spaces: L2-normalized features of the same images, each [N, d]. An image is not its own neighbour.
    """
    from harness.labels import nearest_neighbours  # not at the top: with Numba, for which specs need not wait

    whole, *parts = (nearest_neighbours(space, k + 1).indices[:, 1:] for space in spaces)
    common = [(np.diff(np.sort(np.hstack([whole, part]), 1), axis=1) == 0).sum(1) for part in parts]
    shared = np.stack(common, 1)
    agreement: NDArray[np.float32] = (shared / np.maximum(2 * whole.shape[1] - shared, 1)).astype(np.float32)
    return agreement
