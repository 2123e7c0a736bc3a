"""Takes the README's screenshots of the leaderboard from the current results of the drawn benchmark.

    python scripts/screenshots.py [--root .] [--out docs/screenshots] [--full] [NAME ...]

Needs the `dev` extra and Chromium: apt-get install -y --no-install-recommends chromium
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

HERE = Path(__file__).resolve().parent.parent
TASK = "drawn-summer-to-drawn-winter"
VIEWS = {
    "leaderboard": f"?task={TASK}",
    "pareto": f"?task={TASK}&view=Score+against+cost",
    "matrix": "matrix",
    "compare": f"compare?task={TASK}&of=mmt&of=sskd",
    "queries": f"queries?task={TASK}&run=sskd__{TASK}__s0&beside=mmt__{TASK}__s0&query=100",
    "run": f"run?run=sskd__{TASK}__s0",
    "methods": "methods?method=dkd-mpl",
    "datasets": "datasets?dataset=drawn-summer",
}
DARK = ("leaderboard", "matrix", "compare")
CHROMIUM = "/usr/bin/chromium"
WIDTH, HEIGHT = 1366, 768


@contextmanager
def serving(root: Path, app: Path = HERE / "app.py", environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """Serve the leaderboard of project `root` (or another `app`) on a free port of the loopback; yields its address.

    `environment`: the server's environment variables, if they are not this process's.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(app), "--server.port", str(port)]
    variables = {**(os.environ if environment is None else environment), "PYTHONPATH": str(HERE)}
    config = root / ".streamlit" / "config.toml"
    if not config.exists():
        config.parent.mkdir(exist_ok=True)
        shutil.copy(HERE / ".streamlit" / "config.toml", config)
    process = subprocess.Popen(command, cwd=root, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=1).close()  # noqa: S310 - our own address
                break
            except (urllib.error.URLError, OSError):
                if process.poll() is not None:
                    raise RuntimeError("the leaderboard ended before it answered") from None
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=10)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Headless Chromium. Raises RuntimeError if it is absent."""
    if not Path(CHROMIUM).exists():
        raise RuntimeError("Chromium is absent: apt-get update && apt-get install -y --no-install-recommends chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def new_page(browser: Browser, dark: bool = False) -> Page:
    """A page without a past, as large as a laptop's window, on a light or dark system."""
    context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="dark" if dark else "light")
    return context.new_page()


def settle(page: Page) -> None:
    """Wait until Streamlit has run the page's script and drawn everything."""
    page.wait_for_selector('[data-testid="stMain"] h1', timeout=30_000)
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]', timeout=30_000)
    page.wait_for_selector('[data-testid="stSkeleton"]', state="detached", timeout=30_000)
    page.wait_for_timeout(700)


def grow(page: Page) -> None:
    """Make the window as high as the page's content, so that a screenshot shows all of it."""
    height = page.evaluate("document.querySelector('[data-testid=\"stMain\"]').scrollHeight")
    page.set_viewport_size({"width": page.viewport_size["width"] if page.viewport_size else WIDTH, "height": height})
    page.wait_for_timeout(500)


def shoot(page: Page, address: str, views: Mapping[str, Path], full: bool = False) -> None:
    """Take a screenshot of each view (page and query) into its file, as large as a laptop's window or `full`."""
    for view, path in views.items():
        page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
        page.goto(f"{address}/{view}")
        settle(page)
        if full:
            grow(page)
        page.screenshot(path=path)


def main() -> None:
    """Take them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path())
    parser.add_argument("--out", type=Path, default=HERE / "docs" / "screenshots")
    parser.add_argument("--full", action="store_true", help="the whole page instead of what a laptop shows")
    parser.add_argument("names", nargs="*", metavar="NAME", default=[*VIEWS, *(f"{name}-dark" for name in DARK)],
                        help=f"one of {', '.join(VIEWS)}, with -dark or without")  # fmt: skip
    options = parser.parse_args()
    unknown = [name for name in options.names if name.removesuffix("-dark") not in VIEWS]
    if unknown:
        parser.error(f"no view is called {unknown[0]}; there are {', '.join(VIEWS)}, with -dark or without")
    options.out.mkdir(parents=True, exist_ok=True)
    with serving(options.root.resolve()) as address, chromium() as browser:
        for dark in (False, True):
            names = [name for name in options.names if name.endswith("-dark") == dark]
            views = {VIEWS[name.removesuffix("-dark")]: options.out / f"{name}.png" for name in names}
            shoot(new_page(browser, dark), address, views, options.full)


if __name__ == "__main__":
    main()
