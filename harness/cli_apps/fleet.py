"""`harness fleet …`: the plan over many machines."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.cli_apps.parts import complete, log, names, registry, say, whole_numbers
from harness.errors import UserError

app = typer.Typer(no_args_is_help=True, help="Many machines: Ray, Slurm, or any that starts a command.")

Patterns = Annotated[
    list[str] | None,
    typer.Argument(help="Keys of planned pairings, or patterns; default: all.", autocompletion=complete("key")),
]
Methods = Annotated[str, typer.Option(help="Comma-separated: only these methods.", autocompletion=complete("method"))]
Tasks = Annotated[str, typer.Option(help="Comma-separated: only these tasks.", autocompletion=complete("task"))]
Seeds = Annotated[str, typer.Option(help="Comma-separated: only these seeds.")]
Gpus = Annotated[float, typer.Option("--gpus-per-run", min=0, help="0: train on CPUs.")]
Cpus = Annotated[float, typer.Option("--cpus-per-run", min=0.1, help="Cores that a run is given.")]
RemoteName = Annotated[str, typer.Option("--remote", help="A remote of DVC; default: its default one.")]
Snapshot = Annotated[bool, typer.Option("--snapshot", help="Compute the tree as it is, as a commit on no branch.")]
Every = Annotated[float, typer.Option(min=0.1, help="Seconds between two words, and saved states, of a worker.")]
Scratch = Annotated[str, typer.Option(help="A worker's folder for clones and cache; default: in the temporary folder.")]


@app.command("run")
def run(
    patterns: Patterns = None,
    methods: Methods = "",
    tasks: Tasks = "",
    seeds: Seeds = "",
    address: Annotated[
        str,
        typer.Option(
            help="Of a Ray cluster, like HOST:6379 or ray://HOST:10001; default: this machine's, or one of its own."
        ),
    ] = "",
    gpus: Gpus = 1,
    cpus: Cpus = 2,
    remote: RemoteName = "",
    snapshot: Snapshot = False,
    every: Every = 30,
    scratch: Scratch = "",
) -> None:
    """Run what is planned and not up to date over a Ray cluster, through the shared remote.

    Example: harness fleet run --address auto --methods sskd,mmt --gpus-per-run 1
    """
    from harness.commands.fleet import run as go

    wanted = (patterns or [], names(methods), names(tasks), whole_numbers("--seeds", seeds))
    for line in go(registry(), wanted, address or None, gpus, cpus, remote, snapshot, every, scratch, log):
        say(line)


@app.command("work")
def work(
    patterns: Patterns = None,
    methods: Methods = "",
    tasks: Tasks = "",
    seeds: Seeds = "",
    share: Annotated[
        str, typer.Option(help="I/N: every N-th run from the I-th on, from 0, as arrays of jobs number themselves.")
    ] = "0/1",
    fleet: Annotated[
        str, typer.Option(help="As `harness fleet slurm` names it; default: this checkout's commit.")
    ] = "",
    gpus: Gpus = 1,
    remote: RemoteName = "",
    snapshot: Snapshot = False,
    every: Every = 30,
    scratch: Scratch = "",
    job: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Be a worker: run some planned pairings in throw-away clones, and push them to the shared remote.

    Example: harness fleet work --share $SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT
    """
    from harness.commands import fleet as commands

    if job == "-":  # of a head, which wants the result as it is
        say(commands.work_for_head(sys.stdin.read(), (patterns or [""])[0], log))
        return
    wanted = (patterns or [], names(methods), names(tasks), whole_numbers("--seeds", seeds))
    for line in commands.work(registry(), wanted, share, fleet, gpus, remote, snapshot, every, scratch, log):
        say(line)


@app.command("status")
def status(remote: RemoteName = "") -> None:
    """Show what runs where, how far it is and how long it will take still.

    Example: harness fleet status
    """
    from harness.commands.fleet import status as show
    from harness.paths import project_root

    for line in show(project_root(), remote):
        say(line)


@app.command("slurm")
def slurm(
    patterns: Patterns = None,
    methods: Methods = "",
    tasks: Tasks = "",
    seeds: Seeds = "",
    gpus: Gpus = 1,
    cpus: Cpus = 2,
    memory: Annotated[str, typer.Option(help="Of a run, in Slurm's words.")] = "16G",
    time: Annotated[
        str, typer.Option(help="Limit of one job, in Slurm's words; it is requeued and resumes.")
    ] = "1-00:00:00",
    at_once: Annotated[int, typer.Option(min=0, help="Most jobs at a time; 0: as many as there is room for.")] = 0,
    partition: Annotated[str, typer.Option(help="Slurm's partition.")] = "",
    output: Annotated[Path, typer.Option(help="The batch script to write.")] = Path("build/fleet.sbatch"),
    remote: RemoteName = "",
    snapshot: Snapshot = False,
    every: Every = 30,
    scratch: Scratch = "",
) -> None:
    """Write a batch script for Slurm that works on the plan; sbatch it.

    Example: harness fleet slurm --methods sskd --time 12:00:00 && sbatch build/fleet.sbatch
    """
    from harness.commands.fleet import slurm as write
    from harness.fleet.slurm import Batch

    if not output.parent.exists() and output.parent != Path("build"):
        raise UserError(f"{output.parent}: no such folder")
    batch = Batch(gpus, cpus, memory, time, at_once, partition)
    wanted = (patterns or [], names(methods), names(tasks), whole_numbers("--seeds", seeds))
    for line in write(registry(), wanted, batch, output, remote, snapshot, every, scratch):
        say(line)
