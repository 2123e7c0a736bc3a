"""The dense algorithms, written down plainly from their description."""

import numpy as np
from numpy.typing import NDArray


def rounded_half(k1: int) -> int:
    return int(np.around(k1 / 2))


def expanded_set(ranked: NDArray[np.int32], i: int) -> list[int]:
    """The k-reciprocal neighbours of i with their expansion, as Python sets."""
    k1 = ranked.shape[1]

    def reciprocal(image: int, k: int) -> set[int]:
        return {int(j) for j in ranked[image, :k] if image in ranked[j, :k]}

    own = reciprocal(i, k1)
    expanded = set(own)
    for candidate in own:
        other = reciprocal(candidate, rounded_half(k1) + 1)
        if len(other & own) > 2 / 3 * len(other):
            expanded |= other
    return sorted(expanded)


def dense_weights(features: NDArray[np.float32], ranked: NDArray[np.int32]) -> NDArray[np.float32]:
    weights = np.zeros((len(features),) * 2, np.float32)
    for i in range(len(features)):
        members = expanded_set(ranked, i)
        raw = np.exp(-(2 - 2 * (features[members] @ features[i])))
        weights[i, members] = raw / raw.sum() if len(members) else 0
    return weights


def dense_expansion(weights: NDArray[np.float32], ranked: NDArray[np.int32], k2: int) -> NDArray[np.float32]:
    if k2 == 1:
        return weights
    total = np.zeros_like(weights)
    for rank in range(min(k2, ranked.shape[1])):
        total += weights[ranked[:, rank]]
    return total / np.float32(min(k2, ranked.shape[1]))


def dense_distance(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 - S / (2 - S) with S accumulated column by column in float32."""
    overlap = np.zeros((len(weights),) * 2, np.float32)
    for column in weights.T:
        overlap += np.minimum(column[:, None], column[None, :])
    return np.maximum(1 - overlap / (2 - overlap), np.float32(0))


def dense_jaccard(features: NDArray[np.float32], ranked: NDArray[np.int32], k2: int) -> NDArray[np.float32]:
    return dense_distance(dense_expansion(dense_weights(features, ranked), ranked, k2))


def clustered(seed: int, n: int, d: int = 16, noise: float = 0.5) -> NDArray[np.float32]:
    """L2-normalized features of about n / 8 identities."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((n // 8 + 1, d))
    features = centres[rng.integers(0, len(centres), n)] + noise * rng.standard_normal((n, d))
    return (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)


def grouped_features(groups: int, images: int, spread: float, seed: int = 0) -> NDArray[np.float32]:
    """L2-normalized features of `groups` things, `images` of each, one after the other."""
    rng = np.random.default_rng(seed)
    features = np.repeat(rng.normal(size=(groups, 16)), images, axis=0)
    features += spread * rng.normal(size=features.shape)
    return np.asarray(features / np.linalg.norm(features, axis=1, keepdims=True), np.float32)
