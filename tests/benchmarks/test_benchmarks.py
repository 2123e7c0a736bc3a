"""The benchmarks' references agree with the product, and their page and plot are well formed. Nothing here is timed."""

from xml.etree import ElementTree

import pytest

from benchmarks import evaluate, growth, jaccard
from benchmarks.measure import Outcome, measured
from benchmarks.plot import log_log_svg


def test_the_references_agree():
    ranking = list(evaluate.outcomes(30, 400, repeats=1, with_reference=True))
    assert [outcome.benchmark for outcome in ranking] == ["evaluate from features", "evaluate from distances"]
    assert all("AP off by at most 0e+00" in o.agreement or "e-1" in o.agreement for o in ranking)
    labels = list(jaccard.outcomes(350, repeats=1, with_reference=True))
    assert "labels identical" in labels[-1].agreement
    assert all(outcome.ratio is not None for outcome in (*ranking, *labels))


def test_without_the_reference_there_is_no_ratio():
    outcomes = list(jaccard.outcomes(350, repeats=1, with_reference=False))
    assert {outcome.ratio for outcome in outcomes} == {None}
    assert outcomes[0].as_dict()["over_limit"] == outcomes[0].over_limit


def test_the_page_and_the_plot():
    sizes = growth.STEPS["small"]
    outcomes = [
        Outcome("jaccard total", str(n), ours_s=1e-6 * n**2, extra_gib=0.1, limit_s=0.8e-6 * n**2) for n in sizes
    ]
    curve = growth.Curve("jaccard total", outcomes)
    assert curve.exponent(list(sizes)) == pytest.approx(2)
    page = growth.page([curve], "small", peak=100)
    assert "power **2.00**" in page
    assert "| 8,000 | 64.000 | 1.25 |" in page
    plot = ElementTree.fromstring(log_log_svg([("a <line>", [1, 10], [0.1, 5])], "images", "seconds"))
    assert len(plot.findall("{http://www.w3.org/2000/svg}circle")) == 2


def test_the_fastest_run_and_its_last_result_are_kept():
    calls = []
    result, timing = measured(lambda: calls.append(None) or len(calls), repeats=3)
    assert (result, len(calls)) == (3, 3)
    assert timing.seconds > 0
