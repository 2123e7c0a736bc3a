"""The variants of DKD-MPL: one of them is the shipped class, every choice changes something, and the page."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchmarks import choices
from benchmarks.choices import BASE, CALIBRATION, FRESH, SHIPPED, SIZES, VARIANTS, Row, Table, Variant, random_positives
from methods.dkd_mpl import DKDMPL
from tests.methods.test_relations import differ, made, params_of, trained


@cache
def shipped() -> dict[str, Tensor]:
    return trained(made(DKDMPL, params_of("dkd-mpl")))


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_changes_what_it_says_and_nothing_else(name: str) -> None:
    found = trained(made(Variant, params_of("dkd-mpl") | BASE | VARIANTS[name]))
    assert bool(differ(found, shipped())) == (name != SHIPPED)


def test_the_page_says_who_wins_beyond_chance() -> None:
    rng = np.random.default_rng(0)
    reference, identities = rng.uniform(20, 60, (3, 200)), np.arange(200) // 4

    def table(gain: float) -> Table:
        gains = {"Cluster Contrast": 0, "base": 0, "better": gain}
        return Table(
            identities, [Row(name, reference + more + rng.normal(0, 1, (3, 200)), 30) for name, more in gains.items()]
        )

    page = choices.page({CALIBRATION: table(3), FRESH: table(0)}, SIZES["full"])
    calibration, fresh = page.split("## On a fresh draw")
    assert "Better than Cluster Contrast, beyond chance: better." in calibration
    assert "Better than the base, beyond chance: better." in calibration
    assert "Nothing here beats Cluster Contrast beyond chance." in fresh
    assert "| base |" in fresh


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_a_random_positive_is_another_image_of_the_label(labels: list[int], seed: int) -> None:
    where = torch.tensor(labels)
    positives = random_positives(where, np.random.default_rng(seed)).tolist()
    for image, positive in enumerate(positives):
        assert where[positive] == where[image]
        assert (positive == image) == (labels.count(labels[image]) == 1)


def test_random_positives_are_uniform() -> None:
    labels, stream = np.array([0, 1, 0, 0, 1, 0]), np.random.default_rng(0)
    counts = np.zeros((6, 6))
    for _ in range(3000):
        counts[np.arange(6), random_positives(torch.from_numpy(labels), stream).numpy()] += 1
    same = (labels[:, None] == labels) & ~np.eye(6, dtype=bool)
    expected = 3000 * same / same.sum(1, keepdims=True)
    assert (counts[~same] == 0).all()
    assert (abs(counts - expected) < 5 * np.sqrt(3000 / 4)).all()
