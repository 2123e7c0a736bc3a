"""The static site: complete, self-contained, safe, and openable from a folder."""

import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from playwright.sync_api import Browser

from harness.errors import UserError
from harness.site.build import build_site
from harness.store import ingest
from scripts.screenshots import chromium
from tests.store.factory import Project

EVIL = "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 1'>"


class Links(HTMLParser):
    """The addresses, images without an alternative text, and scripts of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.bad: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.targets += [value for name in ("href", "src") if (value := given.get(name))]
        if tag in ("script", "link", "iframe") or (tag == "img" and not given.get("alt")):
            self.bad.append(self.get_starttag_text() or tag)


@pytest.fixture(scope="module")
def site(pictured: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = Project(shutil.copytree(pictured.root, tmp_path_factory.mktemp("site") / "project"))
    project.method("cc-twin", title=EVIL, description=EVIL, role="ablation", judged_against=["cluster-contrast"])
    ingest(project.root)
    folder = project.root / "board"
    assert build_site(project.root, folder, real_images=True) == len(list(folder.rglob("*.html")))
    return folder


def test_every_link_leads_to_a_file_and_nothing_comes_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        links = Links()
        links.feed(page.read_text(encoding="utf-8"))
        assert not links.bad
        for target in links.targets:
            assert not re.match(r"[a-z]+:|/", target), target
            assert (page.parent / unquote(target)).resolve().is_file(), (page, target)


def test_a_site_has_boards_comparisons_lists_runs_methods_and_datasets(site: Path) -> None:
    pair = "compare/beta--cluster-contrast--cc-twin"
    lists, run = "queries/supervised__beta__s0", "run/supervised__beta__s0"
    for name in ("index", "leaderboard/beta", "matrix", pair, lists, run, "methods/cc-twin", "datasets/beta"):
        assert (site / f"{name}.html").is_file(), name
    assert "cannot be told apart" in (site / "compare/beta--cluster-contrast--cc-twin.html").read_text()
    assert list((site / "images" / "beta").glob("*.jpg"))


def test_images_of_real_datasets_are_left_out_unless_asked_for(pictured: Project, tmp_path: Path) -> None:
    ingest(pictured.root)
    build_site(pictured.root, tmp_path / "board")
    assert not (tmp_path / "board" / "images").exists()


def test_only_an_older_site_is_replaced(project: Project, tmp_path: Path) -> None:
    ingest(project.root)
    folder = tmp_path / "board"
    folder.mkdir()
    (folder / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="holds files that are no site"):
        build_site(project.root, folder)
    assert (folder / "thesis.tex").exists()
    (folder / "thesis.tex").unlink()
    build_site(project.root, folder)
    (folder / "index.html").write_text("old")
    build_site(project.root, folder)
    assert "Beta Square" in (folder / "index.html").read_text()


@pytest.fixture(scope="module")
def program() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
def test_the_site_opens_from_its_folder(site: Path, program: Browser, width: int) -> None:
    page = program.new_context(viewport={"width": width, "height": 800}).new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type in ("error", "warning") else None)
    for name in ("index", "leaderboard/beta", "matrix", "queries/supervised__beta__s0", "methods/cc-twin"):
        page.goto((site / f"{name}.html").as_uri())
        page.wait_for_load_state()
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), name
        assert page.evaluate("[...document.images].every(image => image.loading == 'lazy' || image.naturalWidth)")
        assert page.evaluate("window.pwned") is None
    page.goto((site / "index.html").as_uri())
    page.get_by_role("link", name="Beta Square", exact=True).click()
    assert page.title() == "Beta Square · Re-ID leaderboard"
    assert not problems
