"""The app as a test opens it, by Streamlit's own test runner; what a browser does is in test_browser.py."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

APP = Path(__file__).parents[2] / "app.py"


def opened(
    root: Path, monkeypatch: pytest.MonkeyPatch, page: str = "leaderboard", **params: str | list[str]
) -> AppTest:
    monkeypatch.chdir(root)
    app = AppTest.from_file(str(APP), default_timeout=60)
    for name, value in params.items():
        app.query_params[name] = value
    if page == "leaderboard":
        return app.run()
    app.run()
    app.query_params.clear()
    for name, value in params.items():
        app.query_params[name] = value
    return app.switch_page(f"harness/leaderboard/pages/{page}.py").run()


def texts(app: AppTest) -> str:
    parts = [*app.markdown, *app.caption, *app.info, *app.warning, *app.error, *app.subheader, *app.code]
    return "\n".join(str(part.value) for part in parts)
