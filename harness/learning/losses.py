"""The losses of the field. Features and logits are float32; every loss is a scalar averaged over the batch."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax, normalize, relu

SELF_SIMILARITY = 1 - 1e-5


def smoothed_cross_entropy(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy with uniform label smoothing (Szegedy et al., CVPR 2016). logits [B, C], labels int64 [B]."""
    return cross_entropy(logits, labels, label_smoothing=smoothing)


def soft_cross_entropy(logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """H(softmax(teacher), softmax(student)); the teacher gets no gradient (MMT, Ge et al., ICLR 2020, Eq. 8)."""
    return -(teacher_logits.detach().softmax(1) * log_softmax(logits, 1)).sum(1).mean()


def pairwise_distances(features: Tensor) -> Tensor:
    """Euclidean distances [B, B] of features [B, d], clamped away from 0 so that the gradient stays finite."""
    square = features.pow(2).sum(1)
    return (square[:, None] + square[None] - 2 * features @ features.T).clamp(min=1e-12).sqrt()


def hardest_pairs(distances: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Positions [B] of each anchor's farthest same-label and nearest other-label image (Hermans et al., 2017).

    An anchor may be its own positive. Without any other label in the batch the nearest negative is arbitrary.
    """
    same = labels[:, None] == labels[None]
    farthest = distances.masked_fill(~same, float("-inf")).argmax(1)
    nearest = distances.masked_fill(same, float("inf")).argmin(1)
    return farthest, nearest


def batch_hard_triplet(features: Tensor, labels: Tensor, margin: float) -> Tensor:
    """mean(max(0, d_ap - d_an + margin)) on Euclidean distances with batch-hard mining."""
    distances = pairwise_distances(features)
    positive, negative = hardest_pairs(distances, labels)
    d_ap, d_an = _at(distances, positive), _at(distances, negative)
    return relu(d_ap - d_an + margin).mean()


def softmax_triplet(features: Tensor, labels: Tensor) -> Tensor:
    """-log softmax over (d_ap, d_an), picking d_an, batch-hard (MMT, Eq. 6 with a hard target)."""
    distances = pairwise_distances(features)
    positive, negative = hardest_pairs(distances, labels)
    pairs = torch.stack([_at(distances, positive), _at(distances, negative)], 1)
    return -log_softmax(pairs, 1)[:, 1].mean()


def soft_softmax_triplet(features: Tensor, teacher_features: Tensor, labels: Tensor) -> Tensor:
    """The same with the teacher's two distances, at the student's mined pairs, as the soft target (MMT, Eq. 6-7)."""
    distances, teacher = pairwise_distances(features), pairwise_distances(teacher_features.detach())
    positive, negative = hardest_pairs(distances, labels)
    student = torch.stack([_at(distances, positive), _at(distances, negative)], 1)
    target = torch.stack([_at(teacher, positive), _at(teacher, negative)], 1)
    return soft_cross_entropy(student, target)


def _at(distances: Tensor, columns: Tensor) -> Tensor:
    return distances.gather(1, columns[:, None])[:, 0]


def multi_similarity(
    features: Tensor, labels: Tensor, threshold: float, margin: float, scale_positive: float, scale_negative: float
) -> Tensor:
    """Multi-similarity loss on cosine similarities (Wang et al., CVPR 2019, Eq. 10-12).

    Mining: a negative counts if it is closer than the farthest positive minus `margin`; a positive if it is farther
    than the nearest negative plus `margin`. Positive pairs with a similarity of 1 - 1e-5 or more are an image with
    itself and ignored. Averaged over the batch; an anchor that mining leaves without positives or without negatives
    adds nothing.
    """
    unit = normalize(features, dim=1)
    similarity = unit @ unit.T
    same = labels[:, None] == labels[None]
    positive = same & (similarity < SELF_SIMILARITY)
    negative = ~same
    hardest_positive = similarity.masked_fill(~positive, float("inf")).amin(1, keepdim=True)
    hardest_negative = similarity.masked_fill(~negative, float("-inf")).amax(1, keepdim=True)
    mined_negative = negative & (similarity + margin > hardest_positive)
    mined_positive = positive & (similarity - margin < hardest_negative)
    usable = mined_positive.any(1) & mined_negative.any(1)

    def log_sum(mask: Tensor, scale: float, sign: int) -> Tensor:
        exponent = (sign * scale * (similarity - threshold)).masked_fill(~mask, float("-inf"))
        zero = torch.zeros_like(exponent[:, :1])
        return torch.logsumexp(torch.cat([zero, exponent], 1), 1) / scale

    loss = log_sum(mined_positive, scale_positive, -1) + log_sum(mined_negative, scale_negative, 1)
    return torch.where(usable, loss, 0).sum() / len(features)


def nuclear_norm(logits: Tensor) -> Tensor:
    """‖softmax(logits)‖_* / B: large for predictions that are confident and diverse (Cui et al., CVPR 2020, BNM)."""
    norm: Tensor = torch.linalg.matrix_norm(logits.softmax(1), ord="nuc")
    return norm / len(logits)


def distillation(logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """T² · KL(softmax(teacher / T) ‖ softmax(student / T)), teacher without gradient (Hinton et al., 2015)."""
    teacher = (teacher_logits.detach() / temperature).log_softmax(1)
    student = (logits / temperature).log_softmax(1)
    return temperature**2 * (teacher.exp() * (teacher - student)).sum(1).mean()


def class_logits(features: Tensor, weights: Tensor, cosine_scale: float) -> Tensor:
    """Logits [B, C] of features [B, d] for class weights [C, d].

    cosine_scale 0: the plain product; else scale · cosine (NormFace, Wang et al., ACM MM 2017).
    """
    if cosine_scale == 0:
        return features @ weights.T
    return cosine_scale * normalize(features, dim=1) @ normalize(weights, dim=1).T


def one_hot_logits(labels: Tensor, classes: int) -> Tensor:
    """Logits [B, C] whose softmax is one-hot: 0 for the label, -1e4 elsewhere (finite, so that KL stays finite)."""
    logits = torch.full((len(labels), classes), -1e4, device=labels.device)
    return logits.scatter_(1, labels[:, None], 0.0)


def added(losses: Iterable[Tensor]) -> Tensor:
    """The sum of at least one loss."""
    return torch.stack(list(losses)).sum()
