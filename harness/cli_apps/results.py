"""`harness results …`: publishing results, and exchanging them with other labs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from harness.cli_apps.parts import complete, registry, say
from harness.errors import UserError

app = typer.Typer(no_args_is_help=True, help="Results: publish, report, exchange with other labs.")


class Setting(StrEnum):
    """How a method was trained."""

    supervised = "supervised"
    direct = "direct"
    uda = "uda"
    usl = "usl"


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


@app.command("export")
def results_export(
    keys: Annotated[list[str], typer.Argument(help="Finished runs.", autocompletion=complete("key"))],
    output: Annotated[Path | None, typer.Option(help="The archive to write, like X.tar.")] = None,
    community: Annotated[
        str,
        typer.Option(metavar="LAB", help="Instead of an archive, results/community/LAB/KEY.json, for a pull request."),
    ] = "",
    checkpoints: Annotated[bool, typer.Option(help="Also the networks (safetensors).")] = False,
    lab: Annotated[str, typer.Option(help="How you want to be called, like vision-lab.")] = "",
) -> None:
    """Write finished runs for another lab: records, scores, ranked lists and specs, with a manifest of hashes.

    Example: harness results export sskd__drawn-summer-to-drawn-winter__s0 --output ours.tar
    """
    from harness.sharing.archive import export_runs
    from harness.sharing.community import write_community

    if (output is None) == (not community):
        raise UserError("name either the archive to write (--output X.tar) or a lab (--community LAB)")
    project = registry()
    if output is not None:
        say(f"wrote {export_runs(project, keys, output, checkpoints, lab)}: {len(set(keys))} runs")
    for key in keys if community else ():
        say(f"wrote {write_community(project.root, key, community).relative_to(project.root)}")


@app.command("import")
def results_import(
    archive: Annotated[Path, typer.Argument(help="What `harness results export` wrote.")],
    lab: Annotated[str, typer.Option("--from", help="Whose they are; default: as the archive says, or its name.")] = "",
    replace: Annotated[bool, typer.Option(help="Take a new result of a run that is here from the same lab.")] = False,
) -> None:
    """Take in another lab's runs, if all their scores follow from their ranked lists; own runs are never touched.

    Example: harness results import theirs.tar --from vision-lab
    """
    from harness.paths import project_root
    from harness.sharing.archive import import_archive

    taken = import_archive(project_root(), archive, lab, replace)
    say(f"took in {len(taken)} runs of {archive.name}" + "".join(f"\n  {key}" for key in taken))
    if taken:
        say("shown as METHOD.from.LAB; next: harness leaderboard")


@app.command("check")
def results_check(
    paths: Annotated[list[Path] | None, typer.Argument(help="Default: all of results/community/.")] = None,
    against: Annotated[str, typer.Option(help="A branch: what it holds may be neither changed nor removed.")] = "",
) -> None:
    """Recompute the scores of contributed results; exit 1 and the list of what is wrong. For continuous integration.

    Example: harness results check --against origin/main
    """
    from harness.sharing.community import check_community
    from harness.store.community import community_files

    project = registry()
    chosen = [path.absolute() for path in paths] if paths else community_files(project.root)
    problems = list(check_community(project, chosen, against))
    if problems:
        raise UserError("\n".join([*problems, f"{len(problems)} problem{'s' * (len(problems) > 1)}"]))
    say(f"{len(chosen)} contributed results: all scores follow from their ranks")


@app.command("submit-features")
def results_submit(
    method: Annotated[str, typer.Argument(help="A name for the method.")],
    query: Annotated[Path, typer.Option(help="Features of the query images: .parquet or .h5.")],
    gallery: Annotated[Path, typer.Option(help="Features of the gallery images.")],
    target: Annotated[
        str, typer.Option("--target", "-t", help="The dataset they are of.", autocompletion=complete("dataset"))
    ],
    lab: Annotated[str, typer.Option("--from", help="Who trained the method.")],
    setting: Annotated[Setting, typer.Option(help="How it was trained.")],
    source: Annotated[str, typer.Option("--source", "-s", help="Its labeled source, for uda and direct.")] = "",
    seed: Annotated[int, typer.Option(min=0, max=999_999_999)] = 0,
    note: Annotated[str, typer.Option(help="What a reader must know, like where it is published.")] = "",
    replace: Annotated[bool, typer.Option(help="Take new features of the same method, task and seed.")] = False,
) -> None:
    """Score features of a method that was trained elsewhere; its row says that only the evaluation is ours.

    Example: harness results submit-features ours -t market1501 --from us --setting usl --query q.h5 --gallery g.h5
    """
    from harness.inputs.files import read_bytes
    from harness.inputs.json import parse_sealed
    from harness.pipeline.records import Metrics
    from harness.sharing.submission import Submission, submit_features

    project = registry()
    submission = Submission(method, lab, setting.value, target, source or None, seed, note)
    folder = submit_features(project, submission, query, gallery, replace)
    metrics = parse_sealed(read_bytes(folder / "metrics.json"), Path("metrics.json"), Metrics)
    scores = f"mAP {metrics.map:.1f}, Rank-1 {metrics.rank1:.1f}, mINP {metrics.minp:.1f}"
    say(f"{folder.relative_to(project.root)}: {scores}")
    say("only the evaluation is ours, and the leaderboard says so; next: harness leaderboard")
