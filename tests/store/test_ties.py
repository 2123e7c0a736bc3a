import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.evaluation import compare_runs
from harness.statistics.basics import holm
from harness.store.ties import pairwise_p, tie_letters


def test_p_values_are_those_of_the_one_test() -> None:
    generator = np.random.default_rng(0)
    identities = np.repeat(np.arange(30, dtype=np.int32), 4)
    methods = [generator.random((seeds, 120)).astype(np.float32) + 0.1 * n for n, seeds in enumerate((3, 5, 2))]
    p = pairwise_p(methods, identities)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert p[i, j] == p[j, i] == compare_runs(methods[i], methods[j], identities).p_value
    assert p.diagonal().tolist() == [1, 1, 1]


def test_identical_methods_are_tied() -> None:
    ap = np.tile(np.linspace(0, 1, 50, dtype=np.float32), (2, 1))
    assert tie_letters(pairwise_p([ap, ap], np.arange(50, dtype=np.int32))) == ["a", "a"]


@pytest.mark.parametrize(
    ("different", "letters"),
    [
        ([(0, 2)], ["a", "a b", "b"]),
        ([(0, 1), (0, 2)], ["", "a", "a"]),
        ([(0, 1), (1, 2)], ["a", "", "a"]),  # the middle row is the steadiest: no row beside it is tied with it
        ([(0, 1), (0, 2), (1, 2)], ["", "", ""]),
        ([], ["a", "a", "a"]),
    ],
)
def test_groups_by_hand(different: list[tuple[int, int]], letters: list[str]) -> None:
    p = np.ones((3, 3))
    for i, j in different:
        p[i, j] = p[j, i] = 0.0001
    assert tie_letters(p) == letters


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 9), st.integers(0, 10**6), st.floats(0, 1))
def test_two_rows_share_a_letter_if_and_only_if_they_do_not_differ(size: int, seed: int, share: float) -> None:
    generator = np.random.default_rng(seed)
    p = np.where(generator.random((size, size)) < share, 0.00001, 0.9)
    p = np.triu(p, 1) + np.triu(p, 1).T + np.eye(size)
    letters = [set(row.split()) for row in tie_letters(p)]
    upper = np.triu_indices(size, 1)
    for i, j, corrected in zip(*upper, holm(p[upper]), strict=True):
        assert bool(letters[i] & letters[j]) == (corrected >= 0.05)
