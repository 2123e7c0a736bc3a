"""The variants of DKD-MPL: as shipped they are the shipped class, every choice changes something, and the page."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from torch import Tensor

from benchmarks import choices
from benchmarks.choices import AS_SHIPPED, CALIBRATION, FRESH, SIZES, VARIANTS, Row, Table, Variant
from methods.dkd_mpl import DKDMPL
from tests.methods.test_relations import differ, made, params_of, trained


@cache
def shipped() -> dict[str, Tensor]:
    return trained(made(DKDMPL, params_of("dkd-mpl")))


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_changes_what_it_says_and_nothing_else(name: str) -> None:
    found = trained(made(Variant, params_of("dkd-mpl") | AS_SHIPPED | VARIANTS[name]))
    assert bool(differ(found, shipped())) == bool(VARIANTS[name])


def test_the_page_says_who_wins_beyond_chance() -> None:
    rng = np.random.default_rng(0)
    reference, identities = rng.uniform(20, 60, (3, 200)), np.arange(200) // 4

    def table(gain: float) -> Table:
        gains = {"Cluster Contrast": 0, "as shipped": 0, "better": gain}
        return Table(
            identities, [Row(name, reference + more + rng.normal(0, 1, (3, 200)), 30) for name, more in gains.items()]
        )

    page = choices.page({CALIBRATION: table(3), FRESH: table(0)}, SIZES["full"])
    calibration, fresh = page.split("## On a fresh draw")
    assert "Better than Cluster Contrast, beyond chance: better." in calibration
    assert "Better than what is shipped, beyond chance: better." in calibration
    assert "Nothing here beats Cluster Contrast beyond chance." in fresh
    assert "| as shipped |" in fresh
