"""The `harness` command. Thin: every command calls one function; commands that do not train never import torch."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from harness import __version__
from harness.cli_apps import fleet, results
from harness.cli_apps.parts import complete as _complete
from harness.cli_apps.parts import log as _log
from harness.cli_apps.parts import names as _names
from harness.cli_apps.parts import registry as _registry
from harness.cli_apps.parts import say as _say
from harness.cli_apps.parts import whole_numbers
from harness.errors import UserError
from harness.inputs.text import printable

WIDE = {"max_content_width": 120}
"""Help as wide as the terminal, to a limit that can be read."""
app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None, context_settings=WIDE)
data_app = typer.Typer(no_args_is_help=True, help="Datasets: import, verify, look at, prepare.")
new_app = typer.Typer(no_args_is_help=True, help="Scaffold a spec.")
weights_app = typer.Typer(no_args_is_help=True, help="Published weights that runs start from.")
app.add_typer(data_app, name="data")
app.add_typer(new_app, name="new")
app.add_typer(weights_app, name="weights")
app.add_typer(results.app, name="results")
app.add_typer(fleet.app, name="fleet")


Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
Key = Annotated[
    str, typer.Argument(help="The pairing, as `harness list pairings` names it.", autocompletion=_complete("key"))
]
Run = Annotated[str, typer.Argument(help="A trained run: its key, or its folder.", autocompletion=_complete("key"))]
Method = Annotated[
    str, typer.Argument(help="A method, as `harness list methods` names it.", autocompletion=_complete("method"))
]
Data = Annotated[
    str, typer.Argument(help="A dataset, as `harness list datasets` names it.", autocompletion=_complete("dataset"))
]


def main() -> None:
    """Run the command line: see `harness.start`, where the `harness` command begins."""
    from harness.start import main as start

    start()


def run() -> None:
    """Run the command that the arguments name; a user's mistake is one message on standard error and exit code 1."""
    try:
        app()
    except UserError as error:
        _log(f"error: {_from_here(str(error))}")
        sys.exit(1)


def _version(asked: bool) -> None:
    if asked:
        _say(f"reid-harness {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Experiments and an honest leaderboard for unsupervised and cross-domain re-identification."""


@app.command("list")
def list_command(
    what: Annotated[str, typer.Argument(help="datasets, methods, pairings, runs or parts")] = "methods",
    as_json: Json = False,
    starter: Annotated[bool, typer.Option(help="Only the pairings that `make` runs.")] = False,
    stages: Annotated[bool, typer.Option(help="Print DVC stage names of pairings, for scripts.")] = False,
    method: Annotated[
        str, typer.Option(help="Pairings or runs of this method.", autocompletion=_complete("method"))
    ] = "",
    task: Annotated[str, typer.Option(help="… on this task, like A-to-B.", autocompletion=_complete("task"))] = "",
    status: Annotated[
        str, typer.Option(help="… queued, running, interrupted, failed, trained, finished or published.")
    ] = "",
) -> None:
    """Show what is registered, planned or done.

    Example: harness list runs --method sskd --status published
    """
    from harness.commands.list import listing, show, stage_names
    from harness.commands.screen import width

    registry = _registry()
    if stages:
        _say(" ".join(stage_names(registry, starter)))
        return
    _say(show(listing(registry, what, starter, method, task, status), as_json, width()))


@app.command()
def check() -> None:
    """Validate every spec, pairing and prepared dataset; exit 1 and the list of what is wrong.

    Example: harness check
    """
    from harness.commands.check import check_project, unplanned_methods, without_cameras

    registry = _registry()
    problems = check_project(registry)
    if problems:
        raise UserError("\n".join([*problems, f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"]))
    counts = f"{len(registry.methods)} methods, {len(registry.datasets)} datasets, {len(registry.planned)} pairings"
    _say(f"{counts}: all fine")
    unplanned = sorted(unplanned_methods(registry))
    if unplanned:
        _say(f"in no planned pairing: {', '.join(unplanned)}; to plan them too: harness plan --add")
    for dataset, names in without_cameras(registry).items():
        few = "come without cameras" if registry.dataset(dataset).cameras == 0 else "all come from one camera"
        _say(f"not on {dataset}, whose images {few}: {', '.join(names)}")


@app.command()
def plan(
    seeds: Annotated[
        str,
        typer.Option(help="Comma-separated; default: 0 to 4 on the drawn benchmark, 0 to 2 elsewhere, ablations too."),
    ] = "",
    methods: Annotated[
        str, typer.Option(help="Comma-separated; default: all except methods that only pre-train (role init).")
    ] = "",
    targets: Annotated[
        str, typer.Option(help="Comma-separated; default: all present datasets, for ablations the starter's.")
    ] = "",
    add: Annotated[bool, typer.Option("--add", help="Keep everything that is planned.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before dropping what was planned.")] = False,
) -> None:
    """Write pipelines/<method>/dvc.yaml from the specs and the datasets present.

    Example: harness plan --add --methods sskd --seeds 0,1,2
    """
    from harness.commands.plan import plan as run

    registry = _registry()
    chosen = whole_numbers("--seeds", seeds)
    ask = not yes and sys.stdin.isatty()
    confirm = (lambda question: typer.confirm(question, err=True)) if ask else None
    for line in run(registry, chosen, _names(methods), _names(targets), add, confirm):
        _say(line)


@app.command("run")
def run_command(
    patterns: Annotated[
        list[str] | None, typer.Argument(help="Keys of planned pairings, or patterns like 'dkd-mpl__*'; default: all.")
    ] = None,
    starter: Annotated[bool, typer.Option("--starter", help="The pairings that `make` runs.")] = False,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", help="How many at once; default: one per GPU, else one per core.")
    ] = None,
) -> None:
    """Run planned pairings whose inputs have changed and what they need, several at once.

    Example: harness run 'sskd__*' --jobs 2
    """
    from harness.commands.run import run

    for line in run(_registry(), patterns or [], starter, jobs):
        _say(line)


@app.command(hidden=True)
def code() -> None:
    """Write the hashes of the code that all runs share (a DVC stage)."""
    from harness.paths import project_root
    from harness.pipeline.code import write_code_hashes

    write_code_hashes(project_root())


@app.command(hidden=True)
def spec(method: Method, tasks: Annotated[list[str], typer.Argument(help="Like drawn-summer, or A-to-B.")]) -> None:
    """Write what a method computes on each task (a DVC stage)."""
    from harness.pipeline.resolved import write_resolved

    write_resolved(_registry(), method, tasks)


@app.command()
def schema(folder: Annotated[Path, typer.Argument(help="Where to write.")] = Path("build/schemas")) -> None:
    """Write JSON Schemas, so that editors complete and check the YAML.

    Example: harness schema build/schemas
    """
    from harness.commands.schema import write_schemas

    for path in write_schemas(_registry(), folder):
        _say(str(path))


@app.command()
def train(
    key: Key,
    devices: Annotated[int, typer.Option(min=1, help="GPUs for this one run; the result is that of one.")] = 1,
) -> None:
    """Train one pairing (a DVC stage); an interrupted run continues where it stopped.

    Example: harness train cluster-contrast__drawn-summer__s0
    """
    from harness.pipeline.training.train import train as run
    from harness.specs.pairing import parse_key

    registry, begun = _registry(), time.perf_counter()
    run(registry, parse_key(key), _log, devices)
    _log(f"{key}: trained in {time.perf_counter() - begun:.1f} s; next: harness evaluate {key}")


@app.command()
def evaluate(
    key: Key,
    test_time: Annotated[
        list[str] | None,
        typer.Option(help="Steps between features and ranking: flip, camnorm, rerank, comma-separated; or none."),
    ] = None,
    design: Annotated[
        list[str] | None,
        typer.Option(help="Other queries and galleries: multi-query, leave-one-out or draws, and sessions."),
    ] = None,
) -> None:
    """Evaluate one trained pairing on its target (a DVC stage), or once more by a variant of the protocol.

    Example: harness evaluate cluster-contrast__drawn-summer__s0 --test-time rerank

    What a variant gives stands under its own name (reid-v1+rerank) and is never ranked among the plain scores.
    """
    from harness.evaluation.variants import named
    from harness.specs.pairing import parse_key

    variant = named(*(_names(",".join(given or [])) or () for given in (test_time, design)))
    if variant.parts:
        from harness.pipeline.variants import evaluate_variant

        found = evaluate_variant(_registry(), parse_key(key), variant)
        _log(f"{key}: {found.protocol}: mAP {found.map:.1f}, Rank-1 {found.rank1:.1f}, mINP {found.minp:.1f}")
        return
    from harness.pipeline.evaluate import evaluate as run
    from harness.pipeline.records import LabelFree
    from harness.tables.label_free import figures

    metrics = run(_registry(), parse_key(key))
    if isinstance(metrics, LabelFree):
        _log(f"{key}: {figures(metrics)}")
        return
    _log(f"{key}: mAP {metrics.map:.1f}, Rank-1 {metrics.rank1:.1f}, mINP {metrics.minp:.1f}")


@app.command()
def inspect(
    key: Key,
    images: Annotated[int, typer.Option(help="At most so many training images, spread evenly.")] = 5000,
) -> None:
    """Map a run's features (PCA) and cluster them, for the run's page.

    Example: harness inspect cluster-contrast__drawn-summer__s0
    """
    from harness.pipeline.inspect import inspect as run
    from harness.specs.pairing import parse_key

    registry = _registry()
    _say(f"wrote {run(registry, parse_key(key), images).relative_to(registry.root)}")


@app.command()
def leaderboard(
    format: Annotated[str, typer.Option(help="table, csv, md, latex, json or html.")] = "table",  # noqa: A002
    task: Annotated[str, typer.Option(help="Only this task, like drawn-winter-to-drawn-summer.")] = "",
    metric: Annotated[str, typer.Option(help="What to sort by: mAP, Rank-1, Rank-5, Rank-10 or mINP.")] = "map",
    wide: Annotated[bool, typer.Option("--wide", help="Every column, however wide the terminal is.")] = False,
    output: Annotated[Path | None, typer.Option(help="Write to a file instead of the terminal.")] = None,
    protocol: Annotated[
        str, typer.Option(help="A variant, like reid-v1+rerank: the runs that were scored by it, alone.")
    ] = "reid-v1",
) -> None:
    """Rebuild the database from results/ and print the leaderboard.

    Example: harness leaderboard --task drawn-summer --format latex
    """
    from harness.evaluation.variants import parsed
    from harness.paths import project_root, write_text
    from harness.store import ingest
    from harness.tables.label_free import label_free_document, label_free_table
    from harness.tables.terminal import check_choices, metric_name, render_leaderboard

    metric = metric_name(metric)
    check_choices(format, metric)
    parsed(protocol)
    root = project_root()
    report = ingest(root)
    for line in report.problems:
        _log(f"warning: {line}")
    text = label_free_document(root, task, format) if task else ""
    if not text:
        text = render_leaderboard(root, format, task or None, metric=metric, wide=wide, protocol=protocol)
        if format == "table" and (unlabeled := label_free_table(root)):
            text = f"{text}\n{unlabeled}"
    if output:
        write_text(root / output, printable(text))
    else:
        _say(text.rstrip("\n"), weight=True)


@app.command()
def compare(
    a: Annotated[str, typer.Argument(help="A method, or with --runs a run's key.")],
    b: Annotated[str, typer.Argument(help="What to compare it with.")],
    target: Annotated[str, typer.Option("--target", "-t", help="The dataset that both were evaluated on.")] = "",
    source: Annotated[str, typer.Option("--source", "-s", help="Their labeled source, for UDA and direct.")] = "",
    runs: Annotated[bool, typer.Option("--runs", help="A and B are keys of two single runs.")] = False,
) -> None:
    """Compare two methods over seeds and identities: mAP difference, 95 % interval, p-value, verdict.

    Example: harness compare sskd mmt --target drawn-winter --source drawn-summer
    """
    from harness.paths import project_root
    from harness.store import ingest
    from harness.tables import terminal

    if runs and (target or source):
        raise UserError("--runs: the keys of two runs name their task themselves; leave out --target and --source")
    if not (runs or target):
        raise UserError(f"compare {a} {b}: name the dataset that both were evaluated on, with --target")
    root = project_root()
    ingest(root)
    text = terminal.compare_two_runs(root, a, b) if runs else terminal.compare(root, a, b, target, source or None)
    _say(text.rstrip("\n"))


@app.command()
def site(
    folder: Annotated[Path, typer.Argument(help="Where to write; an older site there is replaced.")],
    real_images: Annotated[bool, typer.Option(help="Also images of real datasets: mind their licenses.")] = False,
) -> None:
    """Write the whole board as static pages that open from a folder, for publishing.

    Example: harness site build/board
    """
    from harness.commands.progress import console_progress
    from harness.paths import project_root
    from harness.site.build import build_site
    from harness.store import ingest

    root = project_root()
    ingest(root)
    with console_progress() as show:
        pages = build_site(root, folder.absolute(), real_images, show)
    _say(f"wrote {pages} pages; open {folder / 'index.html'}")


@app.command()
def show(
    key: Annotated[str, typer.Argument(help="The run's key.", autocompletion=_complete("key"))],
) -> None:
    """Show one run: what became of it, its scores, curves and record.

    Example: harness show sskd__drawn-summer-to-drawn-winter__s0
    """
    from harness.commands.show_run import show_run

    for line in show_run(_registry(), key):
        _say(line)


@app.command("app")
def open_app(
    port: Annotated[int, typer.Option(help="On this port of the loopback.")] = 8501,
) -> None:
    """Open the leaderboard in the browser.

    Example: harness app --port 8600
    """
    from harness.commands.open_app import open_app as run
    from harness.paths import project_root

    run(project_root(), port)


@app.command()
def doctor() -> None:
    """Show what this machine offers, and what is missing.

    Example: harness doctor
    """
    from harness.commands.doctor import examine

    for line in examine(_registry()):
        _say(line)


@app.command()
def embed(
    run: Run,
    folder: Annotated[Path, typer.Argument(help="Images, also in folders below it.")],
    output: Annotated[Path, typer.Option(help="FILE.parquet, .npy or .h5.")] = Path("features.parquet"),
) -> None:
    """Write the features of every image in a folder, with the model that made them.

    Example: harness embed sskd__drawn-summer-to-drawn-winter__s0 photos
    """
    from harness.commands.embed import embed as run_embed

    _say(run_embed(run, folder, output))


@app.command()
def search(
    run: Run,
    queries: Annotated[list[str], typer.Argument(help="Pictures, or folders of them.", metavar="QUERY...")],
    gallery: Annotated[Path, typer.Option(help="A folder of images, or features that this run made.")],
    top: Annotated[int, typer.Option(help="How many to show.")] = 10,
    html: Annotated[Path | None, typer.Option(help="Also write a page with the pictures.")] = None,
    as_json: Json = False,
) -> None:
    """Find the most similar pictures of a gallery: same, different or unsure, once the run is calibrated.

    Example: harness search sskd__drawn-summer-to-drawn-winter__s0 photo.jpg --gallery photos
    """
    from harness.commands.search import search as run_search

    for line in run_search(run, queries, gallery, top, html, as_json):
        _say(line)


@app.command()
def calibrate(
    run: Run,
    pairs: Annotated[Path | None, typer.Option(help="CSV with columns a, b, same (yes or no).")] = None,
    dataset: Annotated[str, typer.Option(help="A prepared dataset with labels.")] = "",
) -> None:
    """Measure from which similarity on two pictures are the same, with its error rates, and keep it with the run.

    Example: harness calibrate sskd__drawn-summer-to-drawn-winter__s0 --dataset drawn-winter
    """
    from harness.commands.calibrate import calibrate_run

    for line in calibrate_run(run, pairs, dataset or None):
        _say(line)


@app.command()
def export(
    run: Run,
    format: Annotated[str, typer.Option(help="onnx, torchscript, safetensors, roboflow, boxmot or ultralytics.")],  # noqa: A002
    output: Annotated[Path | None, typer.Option(help="A new folder; default: build/exports/RUN-FORMAT.")] = None,
    fp16: Annotated[bool, typer.Option("--fp16", help="Half precision: half the size, faster on a GPU.")] = False,
    opset: Annotated[int, typer.Option(help="Of ONNX, 18 to 23.")] = 18,
    measure: Annotated[bool, typer.Option("--measure", help="Also evaluate the file on the run's target.")] = False,
) -> None:
    """Write a trained run as a file that other programs load, with a model card; proven the same model.

    Example: harness export sskd__drawn-summer-to-drawn-winter__s0 --format onnx
    """
    from harness.commands.export import export_run

    for line in export_run(run, format, output, fp16, opset, measure):
        _say(line)


@data_app.command("specs", hidden=True)
def data_specs() -> None:
    """Write what of each dataset's spec can change an image (a DVC stage)."""
    from harness.pipeline.resolved import write_dataset_specs

    write_dataset_specs(_registry())


@weights_app.command("list")
def weights_list() -> None:
    """Say which files of weights the specs start from, and where each is.

    Example: harness weights list
    """
    from harness.commands.weights import list_weights

    for line in list_weights(_registry()):
        _say(line)


@weights_app.command("fetch")
def weights_fetch(
    names: Annotated[list[str] | None, typer.Argument(help="Default: all that are missing.")] = None,
) -> None:
    """Fetch missing files of weights into data/weights/, their SHA-256 checked.

    Example: harness weights fetch
    """
    from harness.commands.weights import fetch_weights

    for line in fetch_weights(_registry(), names or []):
        _say(line)


@data_app.command("draw", hidden=True)
def data_draw(name: str) -> None:
    """Draw a dataset of the drawn benchmark into data/raw/NAME (a DVC stage)."""
    from harness.commands.progress import console_progress
    from harness.drawn.dataset import draw_dataset
    from harness.paths import raw_folder

    registry = _registry()
    dataset = registry.dataset(name)
    if dataset.drawn is None:
        raise UserError(f"{name} is a real dataset; import it with: harness data add {name} PATH")
    with console_progress() as show:
        draw_dataset(
            dataset.drawn, raw_folder(registry.root, name), lambda done, total: show(f"draw {name}", done, total)
        )


@data_app.command("prepare", hidden=True)
def data_prepare(name: str) -> None:
    """Decode and resize every image of a dataset once (a DVC stage)."""
    from harness.commands.progress import console_progress
    from harness.data.prepare import prepare
    from harness.paths import prepared_folder, raw_folder

    registry = _registry()
    dataset = registry.dataset(name)
    with console_progress() as show:
        prepare(dataset, raw_folder(registry.root, name), prepared_folder(registry.root, name), progress=show)


@data_app.command("add")
def data_add(
    name: Annotated[str, typer.Argument(help="The dataset's spec, as `harness list datasets` names it.")],
    path: Annotated[Path, typer.Argument(help="The official zip or tar file, or the unpacked folder.")],
    link: Annotated[str, typer.Option(help="From a folder: copy, hardlink or symlink.")] = "copy",
    allow_mismatch: Annotated[bool, typer.Option(help="Accept differences from the expected counts.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Write the spec proposed for a folder of your own.")] = False,
) -> None:
    """Import a dataset from its official archive or folder, verify it, version it, and plan its pairings.

    Example: harness data add market1501 ~/Market-1501-v15.09.15.zip

    For a folder of your own, whose name has no spec yet, one is proposed and written if you say yes.
    """
    from harness.commands.add_dataset import add_or_propose

    def agreed(question: str) -> bool:
        _say(question)
        return yes or (sys.stdin.isatty() and typer.confirm("Write this spec?"))

    for line in add_or_propose(_registry(), name, path, link, allow_mismatch, agreed):
        _say(line)


@data_app.command("verify")
def data_verify(name: str) -> None:
    """Compare what is on disk with what the spec expects; exit 1 if it differs.

    Example: harness data verify market1501
    """
    from harness.commands.progress import console_progress
    from harness.importing.verify import verify_dataset
    from harness.paths import raw_folder

    registry = _registry()
    if registry.dataset(name).drawn and not raw_folder(registry.root, name).exists():
        raise UserError(f"{name} is not drawn yet; run: dvc repro draw@{name}")
    with console_progress() as show:
        found = verify_dataset(registry.dataset(name), raw_folder(registry.root, name), progress=show)
    for finding in found.findings:
        _say(f"{finding.level}: {finding.text}")
    if not found.ok:
        raise UserError(f"{name}: differs from its spec")
    _say(f"{name}: as expected" if registry.dataset(name).expect else f"{name}: no problem found")


@data_app.command("show")
def data_show(
    name: str,
    output: Annotated[Path, typer.Option(help="Folder for the sheet of sample images.")] = Path("build/sheets"),
) -> None:
    """Print statistics of a dataset and write a sheet of sample images.

    Example: harness data show drawn-summer
    """
    from harness.commands.show_dataset import show_dataset

    for line in show_dataset(_registry(), name, output):
        _say(line)


@data_app.command("publish")
def data_publish(
    name: Data,
    output: Annotated[Path, typer.Option(help="Folder to write; default: build/datasets/NAME.")] = Path(),
) -> None:
    """Write a drawn dataset as a folder to publish: images, labels, and a Croissant file that describes them.

    Example: harness data publish drawn-summer
    """
    from harness.sharing.croissant import publish_dataset

    registry = _registry()
    folder = registry.root / (output if output != Path() else Path("build") / "datasets" / name)
    _say(f"wrote {publish_dataset(registry, name, folder)}")


@new_app.command("method")
def new_method(
    name: str,
    origin: Annotated[str, typer.Option("--from", help="The method to start from.")],
    code: Annotated[bool, typer.Option(help="Also write a Python file with an algorithm of your own.")] = False,
) -> None:
    """Scaffold a method's spec (and, with --code, its algorithm) that passes `harness check`.

    Example: harness new method mine --from cluster-contrast --code
    """
    from harness.commands.new_method import scaffold_method

    for path in scaffold_method(_registry(), name, origin, code):
        _say(f"wrote {path}")


def _from_here(message: str) -> str:
    """A message with the project's files named from the project's root: shorter, and the same on every machine."""
    from harness.paths import project_root

    try:
        return message.replace(f"{project_root()}/", "")
    except UserError:
        return message


if __name__ == "__main__":
    main()
