"""Independent random streams: bodies, clothes, cameras and images never share one.

So changing the number of identities changes no camera, adding a camera changes no other, and every image can be drawn
alone, in any order and by any process.
"""

import zlib

import numpy as np


def stream(purpose: str, seed: int, *key: int) -> np.random.Generator:
    """The stream for one purpose of one drawn domain, e.g. `stream("camera winter", 0, 3)` for its fourth camera."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((zlib.crc32(purpose.encode()), seed, *key))))
