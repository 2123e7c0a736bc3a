"""Feature memories that classify a batch by similarity and follow it by momentum. Always float32."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from harness.learning.device import to_device


def centroids(features: Tensor, labels: Tensor) -> Tensor:
    """Return the L2-normalized mean of each cluster's features: [C, d]; label -1 is left out."""
    kept = labels >= 0
    clusters = int(labels.max()) + 1
    sums = torch.zeros(clusters, features.shape[1], device=features.device)
    sums.index_add_(0, labels[kept], features[kept])
    return normalize(sums / torch.bincount(labels[kept], minlength=clusters).clamp(min=1)[:, None], dim=1)


def similarity_logits(features: Tensor, memory: Tensor, temperature: float) -> Tensor:
    """Return f·Mᵀ / τ, [B, C]; gradient reaches the features, not the memory."""
    return features @ memory.detach().T / temperature


def mean_similarity_logits(
    features: Tensor, memory: Tensor, labels: Tensor, sizes: Tensor, temperature: float
) -> Tensor:
    """Return the mean of f·Mᵀ / τ over the rows of each label, [B, C] (SpCL, Eq. 2).

    labels: int64 [rows], 0 … C - 1; sizes: their counts [C], computed once per epoch, since counting
    synchronizes a GPU with the host.
    """
    similarity = similarity_logits(features, memory, temperature)
    sums = torch.zeros(len(features), len(sizes), device=features.device).index_add_(1, labels, similarity)
    return sums / sizes


@torch.no_grad()
def update(memory: Tensor, features: Tensor, labels: Tensor, momentum: float, max_per_label: int) -> None:
    """M[y] ← normalize(m·M[y] + (1-m)·f), image by image in batch order, in place (Cluster Contrast, Eq. 3).

    `momentum` m is the weight of the old value. The k-th images of all labels are independent of one another, so they
    are updated together, in `max_per_label` steps, with exactly the sequential result. `max_per_label`: upper bound
    on images per label in a batch (a sampler's `instances`); images beyond it would not count.
    """
    order, first, count = _grouped(labels)
    rows, new = labels[order], memory[labels[order]]  # every image of a label carries the label's row along
    for turn in range(max_per_label):
        image = order[(first + turn).clamp(max=len(order) - 1)]
        moved = normalize(momentum * new + (1 - momentum) * features[image], dim=1)
        new = torch.where((turn < count)[:, None], moved, new)
    memory[rows] = new


@torch.no_grad()
def update_hard(memory: Tensor, features: Tensor, labels: Tensor, momentum: float) -> None:
    """One update per label in the batch, with its image that is least similar to the old entry (Cluster Contrast hard).

    Ties go to the image that comes first in the batch.
    """
    by_similarity = torch.argsort((features * memory[labels]).sum(1), stable=True)
    order, first, _ = _grouped(labels[by_similarity])
    rows, hardest = labels[by_similarity[order]], by_similarity[order[first]]
    memory[rows] = normalize(momentum * memory[rows] + (1 - momentum) * features[hardest], dim=1)


def _grouped(labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the stable order [B] that groups equal labels; for each place in it, its group's first place and size.

    Shapes depend on the batch's size alone, so nothing synchronizes a GPU with the host.
    """
    grouped, order = labels.sort(stable=True)
    first = torch.searchsorted(grouped, grouped)
    return order, first, torch.searchsorted(grouped, grouped, right=True) - first


def as_labels(labels: np.ndarray, device: torch.device) -> Tensor:
    """Return int64 pseudo-labels [N] on the device."""
    return to_device(labels.astype(np.int64), device)
