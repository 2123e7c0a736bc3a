"""`harness app`: takes in what is new and serves the leaderboard on the loopback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from harness.errors import UserError
from harness.pipeline.processes import die_with_parent

PRIVATE = ("--server.address", "127.0.0.1", "--browser.gatherUsageStats", "false")
"""Whatever configuration is there or missing: `streamlit run app.py` is for who wants to serve others."""


def open_app(root: Path, port: int) -> None:
    """Serve the leaderboard of project `root` until it is stopped. Raises UserError if it cannot be served."""
    from harness.store import ingest

    script = root / "app.py"
    if not script.exists():
        raise UserError(f"{script}: missing; take it from the repository, it is what `streamlit run` serves")
    ingest(root)
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(port), *PRIVATE]
    ended = subprocess.run(command, cwd=root, check=False, preexec_fn=die_with_parent).returncode
    if ended:
        raise UserError(
            f"the leaderboard ended with code {ended}; is port {port} taken? `harness app --port N` takes N"
        )
