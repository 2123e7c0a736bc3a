"""Simulated average precisions of two methods with a known difference, for tests of significance."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Draw = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]


@dataclass(frozen=True)
class Effects:
    """Standard deviations of what makes an AP, in points of 100, and the true difference A - B.

    AP = difficulty of the query (shared by both methods) + what the method makes of the identity + what it makes of
    the query + the seed's luck + noise of every query in every run. The defaults are those of the drawn benchmark.
    """

    difference: float = 0.0
    seeds: int = 3
    spread_a: float = 0.9
    spread_b: float = 0.9
    identity: float = 6.0
    query: float = 6.0
    noise: float = 9.0
    shared: float = 25.0
    identities: int = 150
    queries: int = 606


def draws(effects: Effects, count: int, seed: int) -> Iterator[Draw]:
    """Yield (ap_a [S, Q], ap_b [S, Q], identities [Q]) so many times; the same seed gives the same ones.

    Identities have unequal numbers of queries. AP are not cut off at 0 and 100, which would change the difference.
    """
    rng = np.random.default_rng(seed)
    e = effects
    for _ in range(count):
        identities = np.sort(np.r_[np.arange(e.identities), rng.integers(e.identities, size=e.queries - e.identities)])
        shared = rng.normal(50, e.shared, e.queries)
        sides = []
        for spread, level in ((e.spread_a, e.difference), (e.spread_b, 0.0)):
            # Two methods' own effects differ by sqrt(2) times one's: halved, so that the difference has what is stated.
            own = rng.normal(0, e.identity / np.sqrt(2), e.identities)[identities]
            own += rng.normal(0, e.query / np.sqrt(2), e.queries)
            luck = rng.normal(0, spread, (e.seeds, 1)) + rng.normal(0, e.noise, (e.seeds, e.queries))
            sides.append(shared + own + level + luck)
        yield sides[0], sides[1], identities
