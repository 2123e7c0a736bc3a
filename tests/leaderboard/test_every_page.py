"""What holds for every page: empty, filled or crowded it stands, and says what of its address it does not know."""

from pathlib import Path

import pytest

from harness.leaderboard.frame import PAGES
from harness.store import ingest
from harness.tables import addresses
from tests.leaderboard.apps import opened
from tests.store.factory import Project


@pytest.mark.parametrize("page", PAGES)
def test_every_page_stands_in_an_empty_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str) -> None:
    for folder in ("datasets", "methods", "results"):
        (tmp_path / folder).mkdir()
    app = opened(tmp_path, monkeypatch, page)
    assert not app.exception
    assert len(app.info) == 1  # says what to do
    assert "`" in app.info[0].value


@pytest.mark.parametrize("page", PAGES)
def test_every_page_shows_a_filled_project(pictured: Project, monkeypatch: pytest.MonkeyPatch, page: str) -> None:
    app = opened(pictured.root, monkeypatch, page)
    assert not app.exception
    assert not app.error
    assert app.title[0].value == PAGES[page][0]


@pytest.mark.parametrize(
    ("page", "param"),
    [("matrix", "metric"), ("compare", "of"), ("queries", "run"), ("run", "run"), ("methods", "method"),
     ("datasets", "dataset")],
)  # fmt: skip
def test_every_page_says_which_name_it_does_not_know(
    project: Project, monkeypatch: pytest.MonkeyPatch, page: str, param: str
) -> None:
    app = opened(project.root, monkeypatch, page, **{param: "../../etc"})
    assert not app.exception
    assert "The address asks for “../../etc”, which is not known here" in app.warning[0].value


def test_a_foreign_parameter_is_warned_about(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(project.root, monkeypatch, "compare", task="beta", method=["cc-twin", "supervised"])
    assert not app.exception
    assert "a parameter “method”, which this page does not know" in app.warning[0].value
    assert "method" not in app.query_params


@pytest.mark.parametrize("view", list(addresses.VIEWS.values()), ids=list(addresses.VIEWS))
def test_every_parameter_of_an_address_is_read_by_its_page(
    pictured: Project, monkeypatch: pytest.MonkeyPatch, view: type[addresses.View]
) -> None:
    filled = {"task": "beta", "of": ("supervised", "cc-twin"), "query": "7", "run": "supervised__beta__s0", "q": "",
              "method": "cc-twin" if view is addresses.Methods else "", "dataset": "beta"}  # fmt: skip
    known = {name: value for name, value in filled.items() if name in addresses.known(view.page)}
    app = opened(pictured.root, monkeypatch, view.page, **addresses.parameters(view(**known)))  # type: ignore[arg-type]
    assert not app.exception
    assert not app.warning
    assert set(app.query_params) <= addresses.known(view.page)


TITLE = f"{'Very ' * 39}long."


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A thousand quoted methods, two of each title, and one of a title of 200 letters."""
    project = Project(tmp_path_factory.mktemp("crowded"))
    project.dataset("market", regime="paper", title="M" * 200)
    figure = {"target": "market", "quoted_from": "Table 3", "verified": True}
    project.method("first", title=TITLE, reported=[figure | {"map": 99}])
    project.quoted(
        *({"name": f"m{i}", "title": f"Method {i % 500}", "setting": "usl", "reported": [figure | {"map": i / 20}]}
          for i in range(1000))
    )  # fmt: skip
    ingest(project.root)
    return project


@pytest.mark.parametrize("page", ["leaderboard", "matrix", "methods"])
def test_a_thousand_methods_and_a_title_of_200_letters(
    crowded: Project, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    assert len(TITLE) == 200
    kinds = {"kinds": ["method", "quoted"]} if page == "matrix" else {}
    app = opened(crowded.root, monkeypatch, page, **kinds)  # type: ignore[arg-type]
    assert not app.exception
    assert not app.warning
    if page != "methods":
        table = app.dataframe[0].value
        assert len(table) == 1001
        assert TITLE in table["method"].tolist()
    if page == "matrix":
        assert table["method"].is_unique  # those of one title have their names behind it
