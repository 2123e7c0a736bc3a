"""Feature memories that classify a batch by similarity and follow it by momentum. Always float32."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize


def centroids(features: Tensor, labels: Tensor) -> Tensor:
    """Return the L2-normalised mean of each cluster's features: [C, d]; label -1 is left out."""
    kept = labels >= 0
    clusters = int(labels.max()) + 1
    sums = torch.zeros(clusters, features.shape[1], device=features.device)
    sums.index_add_(0, labels[kept], features[kept])
    return normalize(sums / torch.bincount(labels[kept], minlength=clusters).clamp(min=1)[:, None], dim=1)


def similarity_logits(features: Tensor, memory: Tensor, temperature: float) -> Tensor:
    """Return f·Mᵀ / τ, [B, C]; gradient reaches the features, not the memory."""
    return features @ memory.detach().T / temperature


def mean_similarity_logits(features: Tensor, memory: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Return the mean of f·Mᵀ / τ over the rows of each label, [B, C] (SpCL, Eq. 2; labels int64 [rows], 0 … C - 1)."""
    similarity = similarity_logits(features, memory, temperature)
    counts = torch.bincount(labels)
    sums = torch.zeros(len(features), len(counts), device=features.device).index_add_(1, labels, similarity)
    return sums / counts


def stacked(*parts: Tensor) -> Tensor:
    """Return memories one above the other."""
    return torch.cat(parts)


@torch.no_grad()
def update(memory: Tensor, features: Tensor, labels: Tensor, momentum: float) -> None:
    """M[y] ← normalise(m·M[y] + (1-m)·f), image by image in batch order, in place (Cluster Contrast, Eq. 3).

    `momentum` m is the weight of the old value. The k-th images of all labels are independent of one another, so they
    are updated together: as many steps as the most frequent label has images, with exactly the sequential result.
    """
    order = torch.argsort(labels, stable=True)
    counts = torch.bincount(labels)
    starts = counts.cumsum(0) - counts
    rank = torch.arange(len(labels), device=labels.device) - starts[labels[order]]
    # `turns` is a property of the batch's shape: at most B, read back only on the CPU's side of a P×K batch
    for turn in range(int(counts.max())):
        chosen = order[rank == turn]
        rows = labels[chosen]
        memory[rows] = normalize(momentum * memory[rows] + (1 - momentum) * features[chosen], dim=1)


@torch.no_grad()
def update_hard(memory: Tensor, features: Tensor, labels: Tensor, momentum: float) -> None:
    """One update per label in the batch, with its image that is least similar to the old entry (Cluster Contrast hard).

    Ties go to the image that comes first in the batch.
    """
    similarity = (features * memory[labels]).sum(1)
    by_similarity = torch.argsort(similarity, stable=True)
    by_label = by_similarity[torch.argsort(labels[by_similarity], stable=True)]
    first = torch.ones_like(by_label, dtype=torch.bool)
    first[1:] = labels[by_label][1:] != labels[by_label][:-1]
    chosen = by_label[first]
    rows = labels[chosen]
    memory[rows] = normalize(momentum * memory[rows] + (1 - momentum) * features[chosen], dim=1)


def as_labels(labels: np.ndarray, device: torch.device) -> Tensor:
    """Return int64 pseudo-labels [N] on the device."""
    return torch.from_numpy(np.ascontiguousarray(labels, np.int64)).to(device)
