"""Every benchmark runs, its references agree, its document, page and plots are well formed. Nothing here is timed."""

import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import __main__ as cli
from benchmarks import evaluate, growth, jaccard, leaderboard, rerank, startup
from benchmarks.measure import Outcome, command, measured
from benchmarks.plot import log_log_svg

TINY = growth.Steps((300, 600), 64, ((20, 300),), (300, 500), 300, (64, 128))


def test_the_references_agree():
    ranking = list(evaluate.outcomes(30, 400, repeats=1, with_reference=True))
    assert [outcome.benchmark for outcome in ranking] == ["evaluate from features", "evaluate from distances"]
    assert all("AP off by at most 0e+00" in o.agreement or "e-1" in o.agreement for o in ranking)
    labels = list(jaccard.outcomes(350, repeats=1, with_reference=True))
    assert "labels identical" in labels[-1].agreement
    assert all(outcome.ratio is not None for outcome in (*ranking, *labels))


def test_reranking_agrees_with_the_dense_algorithm_and_writes_its_section(monkeypatch, tmp_path):
    monkeypatch.setitem(rerank.SIZES, "full", ((30, 120), (20, 90)))
    monkeypatch.setattr(rerank, "DENSE", 120)
    monkeypatch.setattr("benchmarks.page.PAGE", tmp_path / "performance.md")
    outcomes = list(rerank.run("full", 1, True))
    assert [outcome.size for outcome in outcomes] == ["30 x 120 x 64", "30 x 120 x 2,048", "20 x 90 x 2,048"]
    assert [outcome.ratio is None for outcome in outcomes] == [True, True, False]
    found = rerank.measure(40, 160, 1, True)
    assert found.largest < 1e-5
    assert found.apart == 0
    page = (tmp_path / "performance.md").read_text()
    assert page.startswith("# Re-ranking")
    assert "| 20 × 90 × 2,048 | " in page


def test_without_the_reference_there_is_no_ratio():
    outcomes = list(jaccard.outcomes(350, repeats=1, with_reference=False))
    assert {outcome.ratio for outcome in outcomes} == {None}
    assert outcomes[0].as_dict()["over_limit"] == outcomes[0].over_limit


def documents(monkeypatch, capsys, *arguments: str) -> list[dict[str, object]]:
    monkeypatch.setattr(sys, "argv", ["benchmarks", *arguments, "--json", "--repeats", "1"])
    cli.main()
    found = json.loads(capsys.readouterr().out)
    assert found
    assert all(outcome["ours_s"] > 0 and {"ratio", "extra_gib", "agreement"} <= outcome.keys() for outcome in found)
    return found


def test_growth_writes_its_page_and_plots(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(growth.SIZES, "full", TINY)
    monkeypatch.setattr(growth, "DOCS", tmp_path)
    monkeypatch.setattr(growth, "QUERIES", 20)
    monkeypatch.setattr(growth, "PEAK_SIDE", 64)
    found = documents(monkeypatch, capsys, "growth", "--size", "full")
    names = {outcome["benchmark"] for outcome in found}
    assert {
        "batches",
        "evaluate from features",
        "jaccard after neighbours",
        "jaccard total",
    } <= names
    page = (tmp_path / "performance.md").read_text()
    assert all(f"## {name[0].upper()}{name[1:]}" in page for name in names - {"evaluate from distances"})
    assert "1,000,000 images, on paper" in page
    for plot in ("performance.svg", "performance-memory.svg"):
        assert plot in page
        ElementTree.fromstring((tmp_path / plot).read_text())


def test_growth_leaves_the_page_alone_at_other_sizes(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(growth.SIZES, "small", growth.Steps((300,), 64, (), (), 0, ()))
    monkeypatch.setattr(growth, "DOCS", tmp_path)
    monkeypatch.setattr(growth, "PEAK_SIDE", 64)
    assert len(documents(monkeypatch, capsys, "growth")) == 1
    assert list(tmp_path.iterdir()) == []


def test_the_store_agrees_with_the_files(monkeypatch, tmp_path):
    monkeypatch.delenv("HARNESS_DATABASE_URL", raising=False)
    tasks = leaderboard.make_results(tmp_path, 15, 40)
    found = {o.benchmark: o for o in leaderboard.store_outcomes(tmp_path, tasks, "15 x 40", 1, True)}
    assert found["leaderboard task"].agreement.startswith("3 methods, mAP off by at most")
    assert float(found["leaderboard task"].agreement.split()[-1]) < 1e-9
    assert float(found["leaderboard compare"].agreement.split()[-2]) < 1e-4


def test_a_command_is_timed_and_its_failure_told():
    said, timing = command([sys.executable, "-c", "print('here')"], Path.cwd(), repeats=2)
    assert said == "here\n"
    assert timing.seconds > 0
    with pytest.raises(RuntimeError, match="no such thing"):
        command([sys.executable, "-c", "raise SystemExit('no such thing')"], Path.cwd())


def test_starting_up(monkeypatch, capsys):
    found = documents(monkeypatch, capsys, "startup", "--no-reference")
    assert [one["benchmark"] for one in found] == ["startup harness list", "startup harness check", "startup of a run"]
    assert startup.trivial_repro(2, 3, 2, 1).seconds > 0


def test_an_unknown_size_is_named_with_those_there_are(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["benchmarks", "all", "--size", "huge"])
    with pytest.raises(SystemExit, match="evaluate has no size 'huge'; it has small, market1501, msmt17"):
        cli.main()


def test_the_fit_and_the_table():
    sizes = [2_000, 4_000, 8_000]
    outcomes = [
        Outcome("jaccard total", str(n), ours_s=1e-6 * n**2, extra_gib=1e-3 * n, limit_s=0.8e-6 * n**2) for n in sizes
    ]
    curve = growth.Curve("jaccard total", sizes, outcomes, [2e6 * n**2 for n in sizes])
    assert curve.power(curve.seconds) == pytest.approx((2, 1e-6))
    assert curve.power(curve.memory)[0] == pytest.approx(1)
    assert curve.at(16_000, curve.seconds) == pytest.approx(256)
    rest = [growth.Curve(f"jaccard {part}", sizes, outcomes, [0, 0, 0]) for part in ("neighbours", "after neighbours")]
    page = growth.page("the command", [curve, *rest], [], TINY, peak=4_000)
    assert "power **2.00**" in page
    assert "| 8,000 | 64.000 | 1.25 | 50% | 8.000 |" in page
    assert "1,000,000 s of exact search" in page
    plot = log_log_svg([("a <line>", [1, 10], [0.1, 5])], "images", "seconds")
    assert {"a <line>", "images", "seconds"} <= {text.text for text in ElementTree.fromstring(plot).iter() if text.text}


def test_the_fastest_run_and_its_last_result_are_kept():
    calls = []
    result, timing = measured(lambda: calls.append(None) or len(calls), repeats=3)
    assert (result, len(calls)) == (3, 3)
    assert timing.seconds > 0
