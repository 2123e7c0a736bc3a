import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.store.ties import pairwise_p, tie_letters


def test_p_values_are_those_of_the_paired_z_test() -> None:
    generator = np.random.default_rng(0)
    difficulty = generator.random(600)
    ap = np.stack([difficulty + generator.normal(shift, 0.1, 600) for shift in (0.012, 0.004, 0.0)])
    p = pairwise_p(ap, resamples=6000)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        difference = ap[i] - ap[j]
        z = abs(difference.mean()) / (difference.std(ddof=1) / math.sqrt(600))
        assert abs(p[i, j] - math.erfc(z / math.sqrt(2))) < 0.02


def test_identical_methods_are_tied() -> None:
    ap = np.tile(np.linspace(0, 1, 50), (2, 1))
    assert tie_letters(pairwise_p(ap)) == ["a", "a"]


def test_overlapping_groups_get_two_letters() -> None:
    p = np.ones((3, 3))
    p[0, 2] = p[2, 0] = 0.0001
    assert tie_letters(p) == ["a", "a b", "b"]


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 7), st.randoms(use_true_random=False))
def test_rows_that_share_a_letter_never_differ(size: int, random: object) -> None:
    generator = np.random.default_rng(random.randrange(10**6))  # type: ignore[attr-defined]
    p = generator.choice([0.00001, 0.9], (size, size))
    p = np.triu(p, 1) + np.triu(p, 1).T + np.eye(size)
    letters = [set(row.split()) for row in tie_letters(p)]
    for i in range(size):
        for j in range(i + 1, size):
            if letters[i] & letters[j]:
                assert p[i, j] == 0.9
        if i + 1 < size and p[i, i + 1] == 0.9:
            assert letters[i] & letters[i + 1]  # neighbours that do not differ are always shown as tied
