"""The leaderboard in headless Chromium: `apt-get install -y --no-install-recommends chromium`."""

import csv
import json
import re
import shutil
import socket
import tomllib
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from harness.leaderboard import url
from harness.leaderboard.frame import PAGES
from scripts.screenshots import HERE, chromium, grow, new_page, serving, settle, shoot
from tests.store.factory import Project

pytestmark = pytest.mark.browser
expect.set_options(timeout=30_000)
EVIL = "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 1'> **bold** $x$"


@pytest.fixture(scope="module")
def address(pictured: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    root = tmp_path_factory.mktemp("served") / "project"
    project = Project(shutil.copytree(pictured.root, root, ignore=shutil.ignore_patterns("leaderboard.db*")))
    paper = {"title": EVIL, "authors": ["Eve <b>Evil</b>"], "year": 2022, "venue": "ACCV", "fidelity": "reconstructed",
             "notes": EVIL, "url": "javascript:window.pwned=1"}  # fmt: skip
    project.method("cc-twin", title=EVIL, description=EVIL, paper=paper, role="ablation")
    queries = root / "results" / "runs" / "supervised__beta__s0" / "queries.parquet"
    table = pq.read_table(queries)
    pq.write_table(table.set_column(table.column_names.index("path"), "path", pa.array([EVIL] * len(table))), queries)
    with serving(root) as served:
        yield served


class Watched:
    """A browser page with what went wrong in it."""

    def __init__(self, page: Page, address: str) -> None:
        self.page, self.address = page, address
        self.problems: list[str] = []
        page.on("console", self._message)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("request", lambda request: self._request(request.url))

    def _message(self, message: ConsoleMessage) -> None:
        # Opened below a page's path, Streamlit's client first looks for its server there and logs the 404 itself.
        searching = re.search(r"/\w+/_stcore/", message.location["url"])
        if message.type in ("error", "warning") and not searching:
            self.problems.append(f"{message.text} {message.location['url']}")

    def _request(self, url: str) -> None:
        if not url.startswith((self.address, self.address.replace("http", "ws"), "data:", "blob:")):
            self.problems.append(f"a request to another host: {url}")

    def open(self, view: str) -> None:
        self.page.goto(f"{self.address}/{view}")
        settle(self.page)

    def check(self) -> None:
        assert self.problems == []
        assert self.page.get_by_test_id("stException").count() == 0
        assert self.page.get_by_test_id("stAlertContentError").count() == 0
        assert self.page.evaluate("window.pwned") is None


@pytest.fixture(scope="module")
def program() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def browser(program: Browser, address: str) -> Iterator[Watched]:
    page = new_page(program)
    yield Watched(page, address)
    page.context.close()


VIEWS = {
    "leaderboard": "?task=beta",
    "matrix": "matrix",
    "compare": "compare?task=beta&of=cluster-contrast&of=cc-twin",
    "queries": "queries?task=beta&run=supervised__beta__s0&beside=cc-twin__beta__s0",
    "run": "run?run=cc-twin__beta__s0",
    "methods": "methods?method=cc-twin",
    "datasets": "datasets?dataset=beta",
    "search": "search",
}


@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_drawn_without_an_error(browser: Watched, artefacts: Path, page: str) -> None:
    browser.open(VIEWS[page])
    grow(browser.page)
    browser.page.screenshot(path=artefacts / f"{page}.png")
    browser.check()


def test_every_page_is_drawn_in_the_dark(program: Browser, address: str, artefacts: Path) -> None:
    shots = {VIEWS[page]: artefacts / f"{page}-dark.png" for page in PAGES}
    shoot(new_page(program, dark=True), address, shots)
    for path in shots.values():
        assert np.asarray(Image.open(path).convert("L")).mean() < 90


def test_text_of_specs_is_shown_as_text(browser: Watched) -> None:
    browser.open("methods?method=cc-twin")
    assert browser.page.get_by_text(EVIL).count() >= 3
    expect(browser.page.locator("a[href^=javascript]")).to_have_count(0)
    browser.open("compare?task=beta&of=cluster-contrast&of=cc-twin")
    assert browser.page.get_by_text(re.compile(re.escape("<script>"))).count() >= 1
    browser.check()


def test_a_view_is_restored_from_its_address_alone(browser: Watched, program: Browser) -> None:
    browser.open("?task=beta&setting=all")
    browser.page.get_by_role("radio", name="USL", exact=True).click()
    browser.page.get_by_placeholder("search methods").fill("cluster")
    browser.page.keyboard.press("Enter")
    browser.page.wait_for_url(re.compile("q=cluster"))
    settle(browser.page)
    copied = browser.page.url
    other = new_page(program)
    other.goto(copied)
    settle(other)
    assert other.get_by_placeholder("search methods").input_value() == "cluster"
    assert other.url == copied
    assert "setting=usl" in copied
    browser.check()


def test_back_finds_the_view_before(browser: Watched) -> None:
    browser.open("?task=beta")
    before = browser.page.evaluate("history.length")
    for setting in ("USL", "supervised"):
        browser.page.get_by_role("radio", name=setting, exact=True).click()
        browser.page.wait_for_url(re.compile(f"setting={setting.lower()}"))
        settle(browser.page)
    assert browser.page.evaluate("history.length") == before + 2  # an entry for each choice
    browser.page.wait_for_timeout(1000 * url.LATE_SECONDS)  # an address that comes sooner may be that of a quick click
    browser.page.go_back()
    browser.page.wait_for_url(re.compile("setting=usl"))
    expect(browser.page.get_by_role("radio", name="USL", exact=True)).to_be_checked()
    browser.check()


def test_choices_go_along_to_the_next_page(browser: Watched) -> None:
    browser.open("?task=beta")
    browser.page.get_by_role("link", name="Compare").click()
    browser.page.wait_for_url(re.compile("/compare.*task=beta"))
    settle(browser.page)
    browser.check()


def tick(page: Page, *rows: int) -> None:
    """Tick rows of the page's first table, counted from 1."""
    for row in rows:
        grid = page.get_by_test_id("stDataFrame").first.bounding_box()
        assert grid
        before = page.url
        page.mouse.click(grid["x"] + 17, grid["y"] + 33 * row + 17)
        page.wait_for_function("before => location.href != before", arg=before)  # ticks are in the address
    settle(page)


def test_ticked_rows_are_what_is_compared(browser: Watched) -> None:
    browser.open("?task=alpha-to-beta&rows=method&rows=ablation")  # four rows; the filter leaves out unfinished ones
    tick(browser.page, 2, 4)
    browser.page.get_by_role("link", name="Compare the ticked rows").click()
    browser.page.wait_for_url(re.compile("/compare.*of=cluster-contrast&of=direct-transfer"))
    settle(browser.page)
    expect(browser.page.get_by_text(re.compile("^Direct Transfer and Cluster Contrast: one seed"))).to_have_count(1)
    expect(browser.page.get_by_text("which this page does not know")).to_have_count(0)
    browser.check()


def test_a_dot_opens_the_ranked_lists_of_its_query(browser: Watched) -> None:
    browser.open("compare?task=beta&of=supervised&of=cluster-contrast")
    chart = browser.page.get_by_test_id("stVegaLiteChart").first
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box
    places = [(x, y) for y in range(90, int(box["height"]) - 60, 9) for x in range(60, int(box["width"]) - 20, 9)]
    for x, y in places:  # the canvas does not tell where its dots are
        browser.page.mouse.click(box["x"] + x, box["y"] + y)
        if "query=" in browser.page.url:
            break
        browser.page.wait_for_timeout(15)
    browser.page.wait_for_url(re.compile("query="))
    settle(browser.page)
    query = re.search(r"query=(\d+)", browser.page.url)
    assert query
    expect(browser.page.get_by_role("heading", name=f"Query {query[1]}")).to_have_count(1)
    expect(browser.page.locator("img[alt^='Rank 1,']")).to_have_count(2)
    browser.check()


def test_a_row_of_wins_opens_its_query(browser: Watched) -> None:
    browser.open("compare?task=beta&of=supervised&of=cc-twin")
    table = browser.page.get_by_test_id("stDataFrame").last
    grids = [
        grid
        for grid in browser.page.get_by_test_id("stDataFrame").all()
        if (box := grid.bounding_box()) and box["height"] < 200
    ]
    box = grids[0].bounding_box()
    assert box and table
    grids[0].scroll_into_view_if_needed()
    box = grids[0].bounding_box()
    assert box
    browser.page.mouse.click(box["x"] + 120, box["y"] + 50)  # a cell, not the row's own box
    browser.page.wait_for_url(re.compile("query="))
    settle(browser.page)
    expect(browser.page.locator("img[alt^='Rank 1,']")).to_have_count(2)
    browser.check()


def test_a_click_on_a_query_and_the_arrow_keys_choose_it(browser: Watched) -> None:
    browser.open("queries?task=beta&run=cluster-contrast__beta__s0")
    first = re.search(r"query=(\d+)", browser.page.url)
    browser.page.keyboard.press("ArrowRight")
    browser.page.wait_for_function(
        "before => !location.href.includes(before)", arg=f"query={first[1] if first else ''}"
    )
    settle(browser.page)
    expect(browser.page.get_by_text("query 2 of 200")).to_have_count(1)
    grid = browser.page.get_by_test_id("stDataFrame").first.bounding_box()
    assert grid
    browser.page.mouse.click(grid["x"] + 200, grid["y"] + 33 * 4 + 17)
    expect(browser.page.get_by_text("query 4 of 200")).to_have_count(1)
    browser.check()


def test_a_click_on_a_run_opens_it(browser: Watched) -> None:
    browser.open("run?on=beta")
    grid = browser.page.get_by_test_id("stDataFrame").first.bounding_box()
    assert grid
    browser.page.mouse.click(grid["x"] + 120, grid["y"] + 33 * 2 + 17)
    browser.page.wait_for_url(re.compile("run=[a-z-]+__beta__s"))
    settle(browser.page)
    expect(browser.page.get_by_role("heading", name="Reproduce it")).to_have_count(1)
    browser.check()


def test_a_cell_of_the_matrix_says_why_it_is_empty(browser: Watched) -> None:
    browser.open("matrix?setting=usl&tasks=beta&tasks=alpha")
    grid = browser.page.get_by_test_id("stDataFrame").first.bounding_box()
    assert grid
    browser.page.mouse.click(grid["x"] + grid["width"] - 40, grid["y"] + 33 + 17)
    browser.page.wait_for_url(re.compile("cell=cluster-contrast%40alpha"))
    settle(browser.page)
    expect(browser.page.get_by_text(re.compile("^not planned: no run of it is planned"))).to_have_count(1)
    browser.check()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_page_fits_a_phone(program: Browser, address: str, artefacts: Path, dark: bool) -> None:
    context = program.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark" if dark else "light")
    watched = Watched(context.new_page(), address)
    for name, view in VIEWS.items():
        watched.open(view)
        assert watched.page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert watched.page.locator("img:not([alt])").count() == 0
        watched.page.screenshot(path=artefacts / f"{name}-phone{'-dark' if dark else ''}.png")
    watched.check()
    context.close()


def test_the_window_says_what_it_shows(browser: Watched) -> None:
    browser.open("compare?task=beta&of=supervised&of=cluster-contrast")
    assert browser.page.title() == "Supervised vs Cluster Contrast · Beta Square · Re-ID leaderboard"


def test_exports_are_saved_and_parse(browser: Watched, tmp_path: Path) -> None:
    browser.open("?task=beta")
    saved = {}
    for name in ("CSV", "LaTeX", "Markdown", "HTML"):
        with browser.page.expect_download() as download:
            browser.page.get_by_role("button", name=name, exact=True).click()
        saved[name] = tmp_path / download.value.suggested_filename
        download.value.save_as(saved[name])
    rows = list(csv.DictReader(saved["CSV"].open(encoding="utf-8")))
    assert [row["method"] for row in rows] == ["Supervised", "Cluster Contrast", EVIL]
    assert rows[0]["task"] == "beta"
    assert saved["LaTeX"].read_text(encoding="utf-8").count(r"\toprule") == 1
    assert saved["Markdown"].read_text(encoding="utf-8").startswith("### Beta Square")
    browser.page.goto(saved["HTML"].as_uri())
    expect(browser.page.locator("tbody tr")).to_have_count(3)
    expect(browser.page.get_by_text(EVIL)).to_have_count(1)
    assert browser.page.evaluate("window.pwned") is None


def test_charts_can_be_saved(browser: Watched, tmp_path: Path) -> None:
    browser.open("?task=beta&view=Score+against+cost")
    browser.page.get_by_role("button", name=re.compile("Save")).click()
    saved = {}
    for label in ("SVG", "PNG", "Vega-Lite"):
        with browser.page.expect_download() as download:
            browser.page.get_by_role("button", name=label, exact=True).click()
        saved[label] = tmp_path / download.value.suggested_filename
        download.value.save_as(saved[label])
    texts = [node.text for node in ElementTree.parse(saved["SVG"]).iter("{http://www.w3.org/2000/svg}text")]
    assert {"Supervised", "mAP (%)", "CPU minutes per run"} <= set(texts)
    assert Image.open(saved["PNG"]).width > 1000
    assert json.loads(saved["Vega-Lite"].read_text())["$schema"].endswith(".json")
    browser.check()


def test_the_app_listens_on_the_loopback_with_its_protections_on(address: str) -> None:
    port = int(address.rsplit(":", 1)[1])
    listening = [c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.laddr.port == port]
    assert [connection.laddr.ip for connection in listening] == ["127.0.0.1"]
    assert handshake(port, f"http://127.0.0.1:{port}") == 101
    assert handshake(port, "http://evil.example") == 403
    config = tomllib.loads((HERE / ".streamlit" / "config.toml").read_text())
    assert config["server"]["enableXsrfProtection"] is True
    assert config["server"]["enableCORS"] is True
    assert config["browser"]["gatherUsageStats"] is False


def handshake(port: int, origin: str) -> int:
    """The status with which the server answers a page of `origin` that wants to talk to it."""
    request = (
        f"GET /_stcore/stream HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: {origin}\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request.encode())
        return int(connection.recv(64).split()[1])


def test_an_address_of_an_unknown_page_or_name_is_no_crash(browser: Watched) -> None:
    browser.open("run?run=%3Cscript%3Ealert(1)%3C%2Fscript%3E")
    expect(browser.page.get_by_text("which is not known here (run)")).to_have_count(1)
    browser.check()
