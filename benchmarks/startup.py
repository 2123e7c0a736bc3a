"""Startup time of `harness list` and `harness check`, and of a run; DVC's cost with nothing to do.

The commands are run in the project in the current folder. What a command line that imports torch waits for, as those
of all peers do, is the reference of the first two. That of a run, which `harness run` forks, is the same command in a
process of its own. That of `dvc repro` is as many stages that do nothing, with one small dependency and output each;
its limit is DVC's own minimum for what the project is: as many stages that do nothing, with as many dependencies and
outputs, all of them small files.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import Outcome, Timing, command, measured
from harness.pipeline.forked import Forked

SIZES = {"small": (), "full": ("pipeline",)}
PYTHON, DVC = [sys.executable, "-c"], [sys.executable, "-m", "dvc"]
EMPTY = "an empty Python process"
GOAL = 0.15
"""CPU seconds of DVC for each stage of a run of the whole plan."""
EVERYTHING = """
import os, resource, shlex
from pathlib import Path
from harness.pipeline.running import reproduce
from harness.pipeline.stages import Workspace

class Silent:
    def began(self, *_): pass
    said = ended = glance = began

def writing(self, name):
    steps = []
    for out in self.stages[name].outs:
        inner = sorted(path for path in wanted if path.startswith(out.fs_path + os.sep))
        for path in inner or [out.fs_path]:
            folder, file = shlex.quote(os.path.dirname(path)), shlex.quote(path)
            steps.append(f"mkdir -p {folder}; echo {file} > {file}")
    return "; ".join(steps)

Workspace.command = writing
here = Path.cwd()
files = [here / "dvc.yaml", *here.glob("pipelines/*/dvc.yaml")]
workspace = Workspace(here, [path.relative_to(here) for path in files])
stages = workspace.stages.values()
wanted = {dep.fs_path for stage in stages for dep in stage.deps}
outcome = reproduce(workspace, list(workspace.stages), [{}, {}], Silent())
assert len(outcome.done) == len(stages), outcome
used = resource.getrusage(resource.RUSAGE_SELF)
print(len(stages), sum(len(s.deps) for s in stages), sum(len(s.outs) for s in stages), used.ru_utime + used.ru_stime)
"""
NOBODY = "harness train nobody__nothing__s0"
HARNESS = [*PYTHON, "from harness.cli import main; main()"]


def run(size: str, repeats: int, with_reference: bool) -> Iterator[Outcome]:
    """Yield the outcomes of the commands of a named size."""
    here = Path.cwd()
    _, bare = command([*PYTHON, "pass"], here, repeats)
    torch = command([*PYTHON, "import torch"], here, repeats)[1] if with_reference else None
    for name in ("list", "check"):
        _, ours = command([*HARNESS, name], here, repeats)
        yield _outcome(f"startup harness {name}", "one command", ours, "importing torch", torch, bare, "", EMPTY)
    yield started_run(here, repeats, with_reference)
    if size == "full":
        yield from pipeline(here, repeats, with_reference)


def started_run(project: Path, repeats: int, with_reference: bool) -> Outcome:
    """Return what a run of `harness run` waits for until it has its specs: it is asked for a method that nobody has."""

    def fork() -> None:
        forked = Forked(NOBODY, str(project), os.environ)
        forked.output.read()
        forked.wait()

    def process() -> None:
        subprocess.run([*HARNESS, *NOBODY.split()[1:]], cwd=project, capture_output=True, check=False)

    fork()  # the first one waits until the server has loaded torch
    _, ours = measured(fork, repeats)
    new = measured(process, repeats)[1].seconds if with_reference else None
    reference = "a process of its own" if new else ""
    return Outcome("startup of a run", "one command", ours.seconds, 0.0, reference, new)


def pipeline(project: Path, repeats: int, with_reference: bool) -> Iterator[Outcome]:
    """Yield DVC's own cost per stage of `harness run`, and of `dvc repro` with nothing to do, for the whole plan.

    In a copy of the project whose commands do nothing but write their outputs.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("harness", "methods", "datasets", "pipelines"):
            shutil.copytree(project / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "dvc.lock"))
        shutil.copy(project / "dvc.yaml", root)
        subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
        command([*DVC, "init", "--quiet"], root)
        said, whole = command([*PYTHON, EVERYTHING], root)
        stages, dependencies, outs, cpu = said.split()[-4:]
        each = float(cpu) / int(stages)
        yield Outcome(
            "startup harness run", f"{stages} stages", each, whole.extra_gib, limit_s=GOAL,
            limit="the goal for DVC's CPU seconds per stage",
        )  # fmt: skip
        said, ours = command([*DVC, "repro", "--dry"], root, repeats)
        to_run = said.count("Running stage")
        state = f"{to_run} stages would run" if to_run else "nothing to do"
        minimum = trivial_repro(int(stages), 1, 1, repeats) if with_reference else None
        shape = round(int(dependencies) / int(stages)), round(int(outs) / int(stages))
        limit = trivial_repro(int(stages), *shape, repeats)
        trivial = "as many trivial stages"
        text = f"{trivial}, {shape[0]} dependencies and {shape[1]} outputs each"
        yield _outcome("startup dvc repro", f"{stages} stages", ours, trivial, minimum, limit, state, text)


def trivial_repro(stages: int, dependencies: int, outs: int, repeats: int) -> Timing:
    """Time `dvc repro --dry` in a project with so many stages that do nothing, and nothing to do."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
        command([*DVC, "init", "--quiet"], root)
        names = [f"source{number}" for number in range(dependencies)]
        for name in names:
            (root / name).write_text(name)
        dependency = ", ".join(f"{{path: {name}, {_hash(name)}}}" for name in names)
        definition, lock = ["stages:"], ["schema: '2.0'", "stages:"]
        for number in range(stages):
            made = [f"out{number}-{out}" for out in range(outs)]
            for name in made:
                (root / name).write_text(name)
            stage = [f"  s{number}:", f"    cmd: echo {number}"]
            written = ", ".join(f"{{path: {name}, {_hash(name)}}}" for name in made)
            definition += [*stage, f"    deps: [{', '.join(names)}]", f"    outs: [{', '.join(made)}]"]
            lock += [*stage, f"    deps: [{dependency}]", f"    outs: [{written}]"]
        (root / "dvc.yaml").write_text("\n".join(definition) + "\n")
        (root / "dvc.lock").write_text("\n".join(lock) + "\n")
        command([*DVC, "commit", "--quiet", "--force"], root)
        said, timing = command([*DVC, "repro", "--dry"], root, repeats)
        if "Running stage" in said:
            raise RuntimeError(f"the trivial project is not up to date: {said}")
        return timing


def _hash(content: str) -> str:
    return f"hash: md5, md5: {hashlib.md5(content.encode()).hexdigest()}, size: {len(content)}"


def _outcome(
    name: str, size: str, ours: Timing, reference: str, theirs: Timing | None, bound: Timing, found: str, limit: str
) -> Outcome:
    return Outcome(
        name,
        size,
        ours.seconds,
        ours.extra_gib,
        reference if theirs else "",
        theirs.seconds if theirs else None,
        theirs.extra_gib if theirs else None,
        bound.seconds,
        found,
        limit,
    )
