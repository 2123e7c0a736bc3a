"""Pages of the app over results, specs, data and a database that are damaged."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

from benchmarks.faults.damage import FILES, TEXTS, altered, replaced
from benchmarks.faults.projects import with_results
from harness.leaderboard.frame import PAGES
from harness.store import ingest

Cases = Iterator[tuple[str | None, str]]
ROOT = Path(__file__).parents[2]
PREPARED = tuple(f"data/prepared/beta/{name}" for name in ("info.json", "manifest.parquet", "query.npy", "gallery.npy"))
KEY = "cluster-contrast__beta__s0"


def damaged(source: random.Random, folder: Path) -> Cases:
    """A file is damaged before or after it was taken in: every page stands, and says what it cannot show."""
    from streamlit.testing.v1 import AppTest

    project, _, _ = with_results(folder, images=True)
    shutil.copytree(project.root, folder / "whole", symlinks=True)
    while True:
        path = project.root / source.choice([*FILES, *PREPARED])
        whole = path.read_bytes() if path.exists() else b""
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        how = source.randrange(3)
        if how == 0:
            replaced(path, source)
        else:
            path.write_bytes(altered(whole, source) if how == 1 and whole else source.choice(TEXTS).encode())
        page = source.choice(list(PAGES))
        wrong, seen = None, "the page, without what cannot be read"
        os.chdir(project.root)
        try:
            if source.random() < 0.5:
                ingest(project.root)
        except Exception as error:  # said by the command; the page says what it finds
            seen = str(error)
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
        try:
            app.run()
            if page == "run":
                app.query_params["run"] = KEY
            if page != "leaderboard":
                app.switch_page(f"harness/leaderboard/pages/{page}.py").run()
            if app.exception:
                wrong = f"{page} by {path.relative_to(project.root)}: {app.exception[0].message[:200]}"
            seen = next((str(shown.value) for shown in [*app.error, *app.warning]), seen)
        except RuntimeError as error:
            wrong = f"{page} by {path.relative_to(project.root)}: {error}"
        os.chdir("/")
        shutil.rmtree(project.root)
        shutil.copytree(folder / "whole", project.root, symlinks=True)
        yield wrong, seen
