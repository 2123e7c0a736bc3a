"""`harness results …`: publishing results, and exchanging them with other labs."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli_apps.parts import registry, say

app = typer.Typer(no_args_is_help=True, help="Results: publish, report, exchange with other labs.")


@app.command("publish")
def results_publish(
    partial: Annotated[bool, typer.Option(help="Also when planned runs are missing.")] = False,
) -> None:
    """Write results/published.json: the metrics and records of the whole plan, for git.

    Example: harness results publish
    """
    from harness.paths import project_root
    from harness.store.published import publish

    project = registry()
    say(f"published {publish(project_root(), partial)} of {len(project.planned)} planned runs")


@app.command("report")
def results_report() -> None:
    """Write docs/results.md: leaderboards and comparisons of the drawn tasks.

    Example: harness results report
    """
    from harness.paths import project_root
    from harness.store import ingest
    from harness.tables.report import write_report

    root = project_root()
    ingest(root)
    say(f"wrote {write_report(root).relative_to(root)}")
