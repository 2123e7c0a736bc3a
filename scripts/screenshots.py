"""Takes the README's screenshots of the leaderboard from the current results.

    python scripts/screenshots.py [--root .] [--out docs/screenshots] [--dark] [page?query ...]

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
PAGES = ("", "matrix", "compare", "queries", "run", "methods", "datasets")
CHROMIUM = "/usr/bin/chromium"
WIDTH, HEIGHT = 1366, 768


@contextmanager
def serving(root: Path, app: Path = HERE / "app.py") -> Iterator[str]:
    """Serve the leaderboard of project `root` (or another `app`) on a free port of the loopback; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(app), "--server.port", str(port)]
    environment = os.environ | {"PYTHONPATH": str(HERE)}
    config = root / ".streamlit" / "config.toml"
    if not config.exists():
        config.parent.mkdir(exist_ok=True)
        shutil.copy(HERE / ".streamlit" / "config.toml", config)
    process = subprocess.Popen(command, cwd=root, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
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
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--full", action="store_true", help="the whole page instead of what a laptop shows")
    parser.add_argument("views", nargs="*", default=list(PAGES))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    suffix = "-dark" if options.dark else ""
    views = {view: options.out / f"{view.split('?')[0] or 'leaderboard'}{suffix}.png" for view in options.views}
    with serving(options.root.resolve()) as address, chromium() as browser:
        shoot(new_page(browser, options.dark), address, views, options.full)


if __name__ == "__main__":
    main()
