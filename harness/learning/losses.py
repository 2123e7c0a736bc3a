"""The losses of the field. Features and logits are float32; every loss is a scalar averaged over the batch."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax, normalize, relu

SELF_SIMILARITY = 1 - 1e-5
SMALLEST_SINGULAR_VALUE = 1e-6
"""Relative to the Frobenius norm; smaller singular values are only partly accounted for."""


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
    """‖softmax(logits)‖_* / B: large for predictions that are confident and diverse (Cui et al., CVPR 2020, BNM).

    ‖A‖_* = ⟨U, A⟩, where the polar factor U of A is also the gradient.
    """
    predictions = logits.softmax(1)
    return (polar_factor(predictions.detach()) * predictions).sum() / len(logits)


def polar_factor(matrix: Tensor) -> Tensor:
    """PQᵀ [m, n] of the singular value decomposition PΣQᵀ; directions with singular value zero are left out.

    QDWH, Halley's iteration with dynamic weights (Nakatsukasa, Bai, Gygi, SIAM J. Matrix Anal. Appl. 2010), by Cholesky
    factors in float64. The number of steps is known beforehand, so no GPU synchronizes to see whether they
    converged, as it must for a singular value decomposition. A matrix of zeros or with NaN gives NaN.
    """
    x = matrix.double() if len(matrix) >= matrix.shape[1] else matrix.double().T
    x = x / x.norm()
    one = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    for a, b, c in _halley_weights(SMALLEST_SINGULAR_VALUE):
        factor, _ = torch.linalg.cholesky_ex(one + c * (x.T @ x))
        x = b / c * x + (a - b / c) * torch.cholesky_solve(x.T, factor).T
    factor_of_matrix: Tensor = x if len(matrix) >= matrix.shape[1] else x.T
    return factor_of_matrix.to(matrix.dtype)


def _halley_weights(smallest: float) -> Iterator[tuple[float, float, float]]:
    """The weights of each step that takes singular values of [smallest, 1] towards 1 fastest, until all are there."""
    while 1 - smallest > 1e-8:
        square = smallest**2
        d = math.cbrt(4 * (1 - square) / square**2)
        a = math.sqrt(1 + d) + math.sqrt(8 - 4 * d + 8 * (2 - square) / (square * math.sqrt(1 + d))) / 2
        b = (a - 1) ** 2 / 4
        c = a + b - 1
        yield a, b, c
        smallest = smallest * (a + b * square) / (1 + c * square)


def distillation(logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """T² · KL(softmax(teacher / T) ‖ softmax(student / T)), teacher without gradient (Hinton et al., 2015)."""
    teacher = (teacher_logits.detach() / temperature).log_softmax(1)
    student = (logits / temperature).log_softmax(1)
    return temperature**2 * (teacher.exp() * (teacher - student)).sum(1).mean()


def proxy_contrast(logits: Tensor, positive: Tensor, negative: Tensor, hardest: int, hardness: Tensor) -> Tensor:
    """-mean over its positives of log softmax over positives and hardest negatives, per image: [B] (CAP, O2CAP, PPLR).

    logits: similarity of each image to each proxy over τ, [B, P]; positive, negative: bool [B, P]. Of the negatives
    only the `hardest` with the largest `hardness` [B, P] count. An image without positives has 0.
    """
    hard = hardness.detach().masked_fill(~negative, -torch.inf).topk(min(hardest, logits.shape[1]), dim=1).indices
    counted = positive | (negative & torch.zeros_like(negative).scatter_(1, hard, True))
    counted = counted | ~counted.any(1, keepdim=True)  # a softmax over nothing would give NaN gradients
    chosen = log_softmax(logits.masked_fill(~counted, -torch.inf), 1).masked_fill(~positive, 0)
    return -chosen.sum(1) / positive.sum(1).clamp(min=1)


def class_logits(features: Tensor, weights: Tensor, cosine_scale: float) -> Tensor:
    """Logits [B, C] of features [B, d] for class weights [C, d].

    cosine_scale 0: the plain product; else scale · cosine (NormFace, Wang et al., ACM MM 2017).
    """
    if cosine_scale == 0:
        return features @ weights.T
    return cosine_scale * normalize(features, dim=1) @ normalize(weights, dim=1).T
