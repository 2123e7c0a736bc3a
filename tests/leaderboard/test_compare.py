"""Compare: one verdict, and what it would take where there is none."""

import re
import shutil

import pytest

from harness.store import publish
from tests.leaderboard.apps import opened, texts
from tests.store.factory import Project


def test_compare_tests_the_difference(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["supervised", "cluster-contrast", "cc-twin"]
    app = opened(project.root, monkeypatch, "compare", task="beta", of=names)
    assert not app.exception
    metrics = {metric.label: metric for metric in app.metric[:6]}
    assert list(metrics) == ["Cluster Contrast", "Supervised", "Δ mAP", "95 % interval", "p-value, Holm over 2",
                             "wins · ties · losses"]  # fmt: skip
    assert re.fullmatch(r"\d\d\.\d ± \d\.\d", metrics["Supervised"].value)
    assert re.fullmatch(r"−\d\d\.\d", metrics["Δ mAP"].value)
    assert metrics["p-value, Holm over 2"].value == "< 0.001"
    for said in ("Satterthwaite", "clustered by identity", "corrected after Holm", "docs/statistics.md"):
        assert said in metrics["p-value, Holm over 2"].help
    assert sum(map(int, metrics["wins · ties · losses"].value.split(" · "))) == 200
    assert "**Cluster Contrast is worse than Supervised**" in texts(app)
    differing = app.dataframe[-1].value
    assert differing["parameter"].tolist() == ["setting"]


def test_compare_says_what_it_would_take(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(project.root, monkeypatch, "compare", task="beta", of=["cluster-contrast", "cc-twin"])
    assert "cannot be told apart" in texts(app)
    assert re.search(r"with 5 seeds a difference of \d\.\d could be told", " ".join(c.value for c in app.caption))


def test_compare_gives_no_verdict_about_one_seed(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(project.root, monkeypatch, "compare", task="beta", of=["supervised", "cc-twin__beta__s1"])
    assert not app.exception
    assert "no verdict about methods" in texts(app)
    assert "these networks only" in " ".join(caption.value for caption in app.caption)
    assert not any(metric.label.startswith("p-value") for metric in app.metric)


def test_compare_needs_two(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(project.root, monkeypatch, "compare", task="beta", of=["supervised"])
    assert app.info[0].value.startswith("Choose at least two")


def test_compare_refuses_other_query_sets(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(3):
        project.run(f"supervised__beta__s{seed}", 0.8, queries=100)
    app = opened(project.root, monkeypatch, "compare", task="beta", of=["supervised", "cluster-contrast"])
    assert "different query sets" in app.error[0].value


def test_compare_says_what_is_only_published(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = ["supervised__beta__s0", "cc-twin__beta__s0"]
    project.plan(*keys)
    publish(project.root)
    shutil.rmtree(project.root / "results" / "runs" / keys[0])
    app = opened(project.root, monkeypatch, "compare", task="beta", of=["supervised", "cc-twin"])
    assert not app.exception
    assert "1 of these runs are published figures" in texts(app)
