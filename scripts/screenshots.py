"""Takes the README's screenshots of the leaderboard from the current results.

    python scripts/screenshots.py [--root .] [--out docs/screenshots] [--dark] [page[?query] ...]

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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

HERE = Path(__file__).resolve().parent.parent
PAGES = ("", "matrix", "compare", "queries", "run", "methods", "datasets")
CHROMIUM = "/usr/bin/chromium"


@contextmanager
def serving(root: Path, log: Path | None = None) -> Iterator[str]:
    """Serve the leaderboard of project `root` on a free port of the loopback; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    output = log.open("w") if log else subprocess.DEVNULL
    command = [sys.executable, "-m", "streamlit", "run", str(HERE / "app.py"), "--server.port", str(port)]
    environment = os.environ | {"PYTHONPATH": str(HERE)}
    config = root / ".streamlit" / "config.toml"
    if not config.exists():
        config.parent.mkdir(exist_ok=True)
        shutil.copy(HERE / ".streamlit" / "config.toml", config)
    process = subprocess.Popen(command, cwd=root, env=environment, stdout=output, stderr=subprocess.STDOUT)
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
def browser_page(dark: bool = False, width: int = 1366, height: int = 768) -> Iterator[Page]:
    """A page of headless Chromium. Raises RuntimeError if Chromium is absent."""
    if not Path(CHROMIUM).exists():
        raise RuntimeError("Chromium is absent: apt-get install -y --no-install-recommends chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
        )
        try:
            yield context.new_page()
        finally:
            browser.close()


def settle(page: Page) -> None:
    """Wait until Streamlit has run the page's script and drawn everything."""
    page.wait_for_selector('[data-testid="stMain"] h1', timeout=30_000)
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]', timeout=30_000)
    page.wait_for_selector('[data-testid="stSkeleton"]', state="detached", timeout=30_000)
    page.wait_for_timeout(700)


def grow(page: Page) -> None:
    """Make the window as high as the page's content, so that a screenshot shows all of it."""
    height = page.evaluate("document.querySelector('[data-testid=\"stMain\"]').scrollHeight")
    page.set_viewport_size({"width": page.viewport_size["width"] if page.viewport_size else 1366, "height": height})
    page.wait_for_timeout(500)


def main() -> None:
    """Take them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=Path())
    parser.add_argument("--out", type=Path, default=HERE / "docs" / "screenshots")
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--full", action="store_true", help="the whole page instead of what a laptop shows")
    parser.add_argument("pages", nargs="*", default=list(PAGES))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with serving(options.root.resolve()) as address, browser_page(options.dark) as page:
        for name in options.pages:
            page.set_viewport_size({"width": 1366, "height": 768})
            page.goto(f"{address}/{name}")
            settle(page)
            if options.full:
                grow(page)
            stem = name.split("?")[0] or "leaderboard"
            page.screenshot(path=options.out / f"{stem}{'-dark' if options.dark else ''}.png")


if __name__ == "__main__":
    main()
