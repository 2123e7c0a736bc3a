"""Random features that behave like those of a re-identification network: identities in clusters, some of them mixed
up.
"""

import numpy as np
from numpy.typing import NDArray

DIMENSIONS = 2048
IMAGES_PER_IDENTITY = 17
CAMERAS = 6
# Number of directions in which identities differ, and noise within an identity: some identities overlap, as in
# a network's features (with noise in all dimensions, any two identities of this number would be far apart).
DIRECTIONS = 48
NOISE = 0.9
BLOCK = 4096

Features = NDArray[np.float32]
Ids = NDArray[np.int64]


def clustered(images: int, identities: int, seed: int, dimensions: int = DIMENSIONS) -> tuple[Features, Ids]:
    """Return L2-normalized float32 features [images, dimensions] and their identities; the same identities for any
    seed.
    """
    shared = np.random.default_rng(0)
    centers = shared.standard_normal((identities, DIRECTIONS), dtype=np.float32)
    spread = shared.standard_normal((DIRECTIONS, dimensions), dtype=np.float32)
    generator = np.random.default_rng(seed)
    ids = generator.integers(0, identities, images)
    features = np.empty((images, dimensions), np.float32)
    for start in range(0, images, BLOCK):
        block = features[start : start + BLOCK]
        noise = generator.standard_normal((len(block), DIRECTIONS), dtype=np.float32)
        np.matmul(centers[ids[start : start + BLOCK]] + NOISE * noise, spread, out=block)
        block /= np.linalg.norm(block, axis=1, keepdims=True)
    return features, ids


def cameras(images: int, seed: int) -> Ids:
    """Return a camera for each image."""
    return np.random.default_rng(seed).integers(0, CAMERAS, images)
