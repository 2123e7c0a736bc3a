"""`harness fleet`: the plan over many machines, on engines that exist."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from harness.commands.check import stale_pipelines
from harness.commands.run import chosen_pairings
from harness.errors import UserError
from harness.pipeline.plan import with_inits
from harness.specs.pairing import Pairing
from harness.specs.registry import Registry

if TYPE_CHECKING:
    from harness.fleet.slurm import Batch

Say = Callable[[str], None]
Wanted = tuple[Sequence[str], list[str] | None, list[str] | None, list[int] | None]
"""Patterns of keys, methods, tasks, seeds."""
SHARE = re.compile(r"(\d{1,7})/(\d{1,7})", re.ASCII)


def run(
    registry: Registry,
    wanted: Wanted,
    address: str | None,
    gpus: float,
    cpus: float,
    remote: str,
    snapshot: bool,
    every: float,
    scratch: str,
    say: Say,
) -> Iterator[str]:
    """Run what is chosen and not up to date over a Ray cluster; yield what came of it. Raises UserError."""
    pairings = choose(registry, wanted)
    from harness.fleet import head as fleet

    job = fleet.prepare(registry.root, remote, snapshot, fleet.owner(), gpus, every, scratch)
    head = fleet.Head(registry, pairings, job, say)
    head.look_up()
    say(f"fleet {job.fleet}: {len(head.items)} items, {sum(i.state == 'waiting' for i in head.items.values())} to do")
    summary = fleet.run_on_ray(head, address, cpus) if any(head.ready()) else head.summary
    hosts = len(set(summary.done.values()))
    counts = {
        f"done on {hosts} machine{'s' * (hosts != 1)}": len(summary.done),
        "from the remote": len(summary.restored),
        "unchanged": len(summary.unchanged),
        "failed": len(summary.failed),
        "skipped": len(summary.skipped),
    }
    yield f"{len(head.items)} runs and datasets: " + ", ".join(f"{n} {what}" for what, n in counts.items() if n)
    if summary.failed:
        lines = [f"{name}: {why}" for name, why in summary.failed.items()]
        lines += [f"{name}: skipped, it needs {why}" for name, why in summary.skipped.items()]
        raise UserError("\n".join([f"{len(summary.failed)} failed", *lines]))
    yield "next: git add pipelines dvc.lock && git commit, and harness leaderboard"


def work(
    registry: Registry,
    wanted: Wanted,
    share: str,
    fleet: str,
    gpus: float,
    remote: str,
    snapshot: bool,
    every: float,
    scratch: str,
    say: Say,
) -> Iterator[str]:
    """Be a worker for a share of what is chosen; yield what came of it. Raises UserError."""
    from harness.fleet.documents import Board
    from harness.fleet.head import announce, owner, prepare
    from harness.fleet.remote import Remote
    from harness.fleet.worker import Job, work_on

    me = _owner() or owner()
    if fleet:
        shared = Remote.of(registry.root, remote)
        shared.check()
        given = Board(shared, fleet).fleets()
        if not given:
            raise UserError(f"{shared}: has no fleet {fleet!r}; `harness fleet slurm` prepares one and names it")
        known = dict.fromkeys(name for one in given for name in one.items)
        fitting = [name for name in known if not wanted[0] or any(fnmatch(name, one) for one in wanted[0])]
        items = _share(fitting, share)
        job = Job(
            fleet=fleet, commit=given[0].commit, remote=shared.name, settings=dict(shared.public().settings), gpus=gpus,
            every=every, owner=me, scratch=scratch,
        )  # fmt: skip
    else:
        items = _share([pairing.key for pairing in _starts_first(choose(registry, wanted), registry)], share)
        job = prepare(registry.root, remote, snapshot, me, gpus, every, scratch)
        announce(job, job.board(registry.root), items, "work")
    failures = work_on(job, items, say)
    if failures:
        raise UserError("\n".join([f"{len(failures)} of {len(items)} runs failed", *failures]))
    yield f"{len(items)} runs are on the remote; where the project is, take them in: harness fleet run"


def work_for_head(job: str, item: str, say: Say) -> str:
    """Work on what a head gave out; return the result as JSON."""
    from harness.fleet.worker import Job
    from harness.fleet.worker import work as work_on_one

    return work_on_one(Job.model_validate_json(job), item, say).model_dump_json()


def status(root: Path, remote: str) -> Iterator[str]:
    """Yield what runs where, how far and how long still. Raises UserError."""
    from harness.fleet.documents import Board
    from harness.fleet.remote import Remote
    from harness.fleet.snapshot import counts, duration, left, table, write_snapshot

    shared = Remote.of(root, remote)
    found = [write_snapshot(root, Board(shared, name)) for name in shared.names("fleet")]
    if not found:
        shared.check()
        yield f"{shared}: no fleet has used it; harness fleet run starts one"
    newest = sorted(found, key=lambda one: max((head.updated for head in one.heads), default=one.written))
    for snapshot in newest:
        rest = left(snapshot)
        states = ", ".join(f"{n} {state}" for state, n in counts(snapshot).most_common())
        yield f"fleet {snapshot.fleet}: {states or 'nothing given out'}" + (
            f"; about {duration(rest)} to go" if rest is not None else ""
        )
        rows = list(table(snapshot))
        widths = [max(len(row[column]) for row in rows) for column in range(4)] if rows else []
        for row in rows:
            cells = [cell.ljust(width) for cell, width in zip(row[:4], widths, strict=True)]
            yield f"  {'  '.join(cells)}  {row[4] and row[4] + ' to go'}".rstrip()


def slurm(
    registry: Registry,
    wanted: Wanted,
    batch: Batch,
    output: Path,
    remote: str,
    snapshot: bool,
    every: float,
    scratch: str,
) -> Iterator[str]:
    """Prepare a fleet on the remote and write the batch script that works on it. Raises UserError."""
    pairings = choose(registry, wanted)
    from harness.fleet.head import announce, owner, prepare
    from harness.fleet.slurm import script
    from harness.paths import write_text

    keys = [pairing.key for pairing in _starts_first(pairings, registry)]
    job = prepare(registry.root, remote, snapshot, owner(), batch.gpus, every, scratch)
    announce(job, job.board(registry.root), keys, "slurm")
    write_text(registry.root / output, script(registry.root, job, batch, len(keys)))
    yield f"wrote {output} for {len(keys)} runs; next: sbatch {output}, harness fleet status, harness fleet run"


def choose(registry: Registry, wanted: Wanted) -> list[Pairing]:
    """Return the planned pairings that fit, and those that they start from. Raises UserError."""
    patterns, methods, tasks, seeds = wanted
    for name in methods or ():
        registry.method(name)
    chosen = chosen_pairings(registry.checked(), patterns, False)
    fitting = [
        pairing
        for pairing in chosen
        if (methods is None or pairing.method in methods)
        and (tasks is None or pairing.task in tasks)
        and (seeds is None or pairing.seed in seeds)
    ]
    if not fitting:
        raise UserError("no planned pairing fits --methods, --tasks and --seeds; `harness list pairings` shows them")
    everything = with_inits(registry, fitting)
    problems = stale_pipelines(registry, everything)
    if problems:
        raise UserError("\n".join(problems))
    return everything


def _starts_first(pairings: Sequence[Pairing], registry: Registry) -> list[Pairing]:
    """Return pairings so that none stands before one that it starts from; else in the plan's order."""
    order: dict[Pairing, None] = {}

    def visit(pairing: Pairing) -> None:
        for start in registry.init_pairings(pairing):
            visit(start)
        order[pairing] = None

    starts = {start for pairing in pairings for start in registry.init_pairings(pairing)}
    for pairing in sorted(pairings, key=lambda pairing: pairing not in starts):
        visit(pairing)
    return list(order)


def _share(keys: Sequence[str], share: str) -> list[str]:
    found = SHARE.fullmatch(share)
    if not found or not 0 <= int(found[1]) < int(found[2]):
        raise UserError(f"--share {share}: expected I/N with I from 0 to N-1, like 3/64")
    mine = list(keys[int(found[1]) :: int(found[2])])
    if not mine:
        raise UserError(f"--share {share}: there are only {len(keys)} runs")
    return mine


def _owner() -> str:
    """Return what a batch system calls this job, the same when it is requeued; '' outside one."""
    job = os.environ.get("SLURM_ARRAY_JOB_ID") or os.environ.get("SLURM_JOB_ID")
    return f"slurm-{job}-{os.environ.get('SLURM_ARRAY_TASK_ID', '0')}" if job else ""
