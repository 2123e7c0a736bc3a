"""A batch script for Slurm: an array of workers, requeued and resumed where the time limit or another job stops one."""

from __future__ import annotations

import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UserError
from harness.fleet.worker import Job

MOST_TASKS = 1000
"""Of an array: Slurm's MaxArraySize is 1001 where nobody changed it. With more runs than that, a task does several."""
WARNING_SECONDS = 120
"""How long before its time limit a job is told to save and leave; Slurm may say so up to a minute earlier."""
SCRIPT = """\
#!/bin/bash
# Written by `harness fleet slurm` for fleet {fleet}, commit {commit}.
#SBATCH --job-name=reid-{short}
#SBATCH --array=0-{last}{at_once}
#SBATCH --cpus-per-task={cpus}
#SBATCH --mem={memory}
#SBATCH --time={time}
#SBATCH --requeue
#SBATCH --signal=B:USR1@{warning}
#SBATCH --open-mode=append
#SBATCH --output={logs}/%A_%a.log
{more}
cd {root} || exit 1
{worker} &
worker=$!
stop() {{ kill -TERM "$worker" 2>/dev/null; wait "$worker"; }}
trap 'stop; scontrol requeue "$SLURM_JOB_ID"; exit 0' USR1  # the time is up: save, and go on in a new job
trap 'stop; exit 143' TERM                                  # pre-empted (Slurm requeues it) or cancelled
wait "$worker"
"""


@dataclass(frozen=True)
class Batch:
    """What a job asks of Slurm."""

    gpus: float
    cpus: float
    memory: str
    time: str
    at_once: int
    partition: str


def script(root: Path, job: Job, batch: Batch, runs: int) -> str:
    """Return the script for a fleet that was prepared. Raises UserError for what Slurm would not understand."""
    for name, value in (("--memory", batch.memory), ("--time", batch.time), ("--partition", batch.partition)):
        if any(letter.isspace() for letter in value):
            raise UserError(f"{name} {value!r}: Slurm takes no blank there")
    if batch.gpus != int(batch.gpus):
        raise UserError(f"--gpus-per-run {batch.gpus}: Slurm gives whole GPUs")
    logs = root / "build" / "fleet"
    logs.mkdir(parents=True, exist_ok=True)
    more = [f"#SBATCH --partition={batch.partition}"] if batch.partition else []
    more += [f"#SBATCH --gres=gpu:{batch.gpus:.0f}"] if batch.gpus else []
    harness = shutil.which("harness", path=str(Path(sys.executable).parent)) or "harness"
    share = '"$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT"'
    worker = [harness, "fleet", "work", "--fleet", job.fleet, "--remote", job.remote, "--every", f"{job.every:g}",
              "--gpus-per-run", f"{batch.gpus:g}", *(["--scratch", job.scratch] if job.scratch else [])]  # fmt: skip
    return SCRIPT.format(
        fleet=job.fleet, commit=job.commit, short=job.fleet[:8], last=min(runs, MOST_TASKS) - 1,
        at_once=f"%{batch.at_once}" if batch.at_once else "", cpus=max(1, round(batch.cpus)), memory=batch.memory,
        time=batch.time, warning=WARNING_SECONDS, logs=logs, more="\n".join(more) + "\n" if more else "",
        root=shlex.quote(str(root)), worker=f"{shlex.join(worker)} --share {share}",
    )  # fmt: skip
