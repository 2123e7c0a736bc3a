"""Independent random streams: one for each body, wardrobe, camera and image.

So changing the number of identities changes no camera, adding a camera changes no other, and every image can be drawn
alone, in any order and by any process.
"""

import zlib

import numpy as np


def stream(purpose: str, seed: int, *key: int) -> np.random.Generator:
    """Return the generator for one purpose of one drawn domain.

    >>> camera = stream("camera winter", 0, 3)  # the third camera of the winter domain with seed 0
    """
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((zlib.crc32(purpose.encode()), seed, *key))))
