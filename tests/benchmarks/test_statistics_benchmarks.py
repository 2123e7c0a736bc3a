"""Benchmarks of the statistics: simulated AP have the effects they state, and pages say what was found."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmarks import selection, statistics
from benchmarks.simulated import Effects, draws


def test_simulated_ap_have_the_effects_that_they_state() -> None:
    wanted = Effects(difference=4, seeds=4, spread_a=3, spread_b=1, identity=5, query=8, noise=6)
    drawn = list(draws(wanted, 300, seed=0))
    a, b = (np.stack([draw[side] for draw in drawn]) for side in (0, 1))
    assert a.shape == (300, 4, 606)
    assert np.mean(a - b) == pytest.approx(4, abs=0.4)
    assert np.mean(a.mean(2).std(1, ddof=1)) == pytest.approx(3 * 0.921, rel=0.1)  # the bias of a std of four numbers
    assert np.mean(b.mean(2).var(1, ddof=1)) == pytest.approx(1 + 36 / 606, rel=0.15)
    apart = (a - b).mean(1)
    assert np.mean(apart.var(1)) == pytest.approx(5**2 + 8**2 + 2 * 6**2 / 4, rel=0.05)
    assert all(len(np.unique(identities)) == 150 for _, _, identities in drawn)
    again = next(draws(wanted, 1, seed=0))
    assert all(np.array_equal(x, y) for x, y in zip(again, drawn[0], strict=True))


def test_the_page_states_both_tests(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(statistics.SIZES, "full", 20)
    page = tmp_path / "statistics.md"
    page.write_text("# How methods are compared\n\nOf old.\n\n# Another question\n\nAnswered.\n")
    monkeypatch.setattr(statistics, "PAGE", page)
    monkeypatch.setattr(statistics, "settings", lambda: iter([Effects(spread_a=2, spread_b=0), Effects(difference=9)]))
    alarms, power = statistics.run("full", 1, True)
    assert alarms.benchmark == "statistics false alarms"
    assert power.agreement.startswith("100.0% (over queries only: 100.0%)")
    text = page.read_text()
    assert "Of old." not in text
    assert text.endswith("# Another question\n\nAnswered.\n")
    for said in (
        "Satterthwaite",
        "Liang and Zeger",
        "Holm",
        "| 3 | 2, none | 150 | 0 |",
        "20 draws",
    ):
        assert said in text
    assert "{" not in text.replace("Σ_{q in g}", "")


def test_only_the_full_size_writes_the_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(statistics, "PAGE", tmp_path / "statistics.md")
    monkeypatch.setitem(statistics.SIZES, "small", 5)
    monkeypatch.setattr(statistics, "settings", lambda: iter([Effects()]))
    (found,) = statistics.run("small", 1, False)
    assert found.ratio is None
    assert list(tmp_path.iterdir()) == []


def history(
    maps: Sequence[float | None],
    silhouettes: Sequence[float | None],
    outliers: Sequence[float | None],
    agreements: Sequence[float | None],
) -> selection.History:
    return {"target_map": maps, "silhouette": silhouettes, "outliers": outliers, "agreement": agreements}


def test_rules_are_judged_by_hand() -> None:
    rising = history([None, 10, 20, 30, 25], [0.9, 0.1, 0.2, 0.3, 0.2], [0.5] * 5, [None, 0.9, 0.8, 0.7, 0.6])
    silhouette, complete, agreement = selection.judge([rising, {"target_map": [1, 2, 3]}])
    assert [each.runs for each in (silhouette, complete, agreement)] == [1, 1, 1]
    assert silhouette.correlation[1] == complete.correlation[1] == pytest.approx(0.9487, abs=1e-4)
    assert agreement.correlation[1] == pytest.approx(-0.8)
    assert (silhouette.regret, complete.regret, agreement.regret) == (0, 0, 20)
    assert silhouette.regret_of_last == 5
    text = selection.section([silhouette, complete, agreement])
    assert "| agreement with the epoch before | −0.80 | −0.80 … −0.80 | 20.00 |" in text
    assert selection.judge([history([1, 2, 3], [None] * 3, [0.1] * 3, [None] * 3)]) == []


def test_no_history_with_the_figures_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    page = tmp_path / "statistics.md"
    monkeypatch.setattr(selection, "PAGE", page)
    monkeypatch.setattr(selection, "histories", lambda root: [{"target_map": [1.0, 2.0, 3.0]}])
    (found,) = selection.run("small", 1, True)
    assert found.agreement == selection.NONE_YET
    assert not page.exists()
    list(selection.run("full", 1, True))
    assert page.read_text().startswith("# Which epoch, without labels?\n")
    assert page.read_text().rstrip().endswith(selection.NONE_YET)
