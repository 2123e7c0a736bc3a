"""Methods: the paper, its citation, and every parameter with its meaning."""

import pytest

from harness.leaderboard.pages.methods import fields
from harness.specs.compute import Compute
from harness.tables.text import bibtex, flat
from tests.leaderboard.apps import opened, texts
from tests.store.factory import COMPUTE, Project


@pytest.mark.parametrize(
    ("venue", "entry"),
    [("ACCV", "@inproceedings"), ("IEEE Transactions on Multimedia", "@article"), ("Pattern Recognition", "@article")],
)
def test_an_article_is_cited_with_its_journal(venue: str, entry: str) -> None:
    cited = bibtex("x", {"title": "On Clusters", "authors": ["Ann Lee"], "venue": venue, "year": 2022})
    assert cited.startswith(f"{entry}{{lee2022,")
    assert f"  {'journal' if entry == '@article' else 'booktitle'} = {{{venue}}}" in cited


def test_a_method_shows_paper_bibtex_and_parameters(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    paper = {"title": "On Clusters", "authors": ["Ann Lee", "Bo Li"], "year": 2022, "venue": "ACCV",
             "fidelity": "reconstructed", "notes": "Batch size was guessed.",
             "choices": [{"what": "batch", "chosen": "64", "reason": "usual"}]}  # fmt: skip
    project.method("cluster-contrast", paper=paper)
    app = opened(project.root, monkeypatch, "methods", method="cluster-contrast")
    assert "@inproceedings{lee2022,\n  title = {{On Clusters}}" in texts(app)
    assert "**Reconstructed.** Batch size was guessed." in texts(app)
    parameters = app.dataframe[-1].value
    assert "compute.network.bn_groups" in parameters["parameter"].tolist()
    assert "params.temperature" in parameters["parameter"].tolist()


def test_every_parameter_says_what_it_means() -> None:
    described = fields(Compute, COMPUTE)
    assert all(described[name] for name in flat(COMPUTE))
    assert described["network.backbone.kind"] != described["network.backbone"]
