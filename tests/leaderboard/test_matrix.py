"""The matrix: every empty cell has its reason."""

import pytest

from harness.store import views
from tests.leaderboard.apps import opened, texts
from tests.store.factory import Project


def test_every_empty_cell_of_the_matrix_says_why(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = [f"{method}__alpha__s0" for method in ("supervised", "cluster-contrast", "cc-twin")]
    project.plan(*waiting)
    project.attempt(waiting[1], "running")
    project.attempt(waiting[2], "failed")
    tasks, kinds = ["alpha", "beta", "market", "alpha-to-beta"], ["method", "ablation"]
    app = opened(project.root, monkeypatch, "matrix", setting="all", tasks=tasks, kinds=kinds)
    shown = app.dataframe[-1].value
    reasons = {(row.method, row.task): (row.state, row.reason) for row in shown.itertuples()}
    assert reasons["Supervised", "Alpha Street"] == ("queued", "planned, not started")
    assert reasons["Cluster Contrast", "Alpha Street"] == ("running", "train, epoch 3 of 6")
    assert reasons["Cc Twin", "Alpha Street"] == ("failed", "nan: the loss is not a number")
    assert ("Cluster Contrast", "Market-like") not in reasons  # it has a figure, and its cell says from where
    assert reasons["Supervised", "Market-like"][0] == "not planned"
    assert reasons["Direct Transfer", "Alpha Street"] == (
        "incompatible",
        "Direct Transfer is a direct method: it needs a labeled source",
    )
    assert shown["reason"].str.len().min() > 0
    app = opened(project.root, monkeypatch, "matrix", tasks=tasks, cell="cluster-contrast@market")
    assert "reported: quoted from Table 3; not run here" in texts(app)


def test_the_matrix_gives_every_reason(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(
        project.root,
        monkeypatch,
        "matrix",
        setting="usl",
        tasks=["beta", "alpha-to-beta", "market"],
        kinds=["method", "ablation", "quoted"],
    )
    reasons = app.dataframe[-1].value
    assert "Cc Twin is a USL method: it takes no source" in reasons["reason"].tolist()
    assert views.QUOTED in reasons["reason"].tolist()
    assert set(reasons["state"]) == {"incompatible", "not planned"}
