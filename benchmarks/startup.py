"""Startup time of `harness list`, `harness check`, and `dvc repro` with nothing to do.

The commands are run in the project in the current folder. What a command line that imports torch waits for, as those
of all peers do, is the reference of the first two. That of the third is as many stages that do nothing, with one small
dependency and output each. Its limit is DVC's own minimum for what the project is: as many stages that do nothing, with
as many dependencies and outputs, all of them small files.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import Outcome, Timing, command

SIZES = {"small": ("list", "check"), "full": ("list", "check", "repro")}
PYTHON, DVC = [sys.executable, "-c"], [sys.executable, "-m", "dvc"]
EMPTY = "an empty Python process"
COUNT = (
    "from dvc.repo import Repo; stages = Repo().index.stages;"
    "print(len(stages), sum(len(s.deps) for s in stages), sum(len(s.outs) for s in stages))"
)
HARNESS = [*PYTHON, "from harness.cli import main; main()"]


def run(size: str, repeats: int, with_reference: bool) -> Iterator[Outcome]:
    """Yield the outcomes of the commands of a named size."""
    here = Path.cwd()
    _, bare = command([*PYTHON, "pass"], here, repeats)
    torch = command([*PYTHON, "import torch"], here, repeats)[1] if with_reference else None
    for name in SIZES[size]:
        if name == "repro":
            yield repro(here, repeats, with_reference)
        else:
            _, ours = command([*HARNESS, name], here, repeats)
            yield _outcome(f"startup harness {name}", "one command", ours, "importing torch", torch, bare, "", EMPTY)


def repro(project: Path, repeats: int, with_reference: bool) -> Outcome:
    """Return the outcome of `dvc repro --dry`, which checks every stage as `dvc repro` does, and runs none."""
    counted, _ = command([*PYTHON, COUNT], project)
    stages, dependencies, outs = map(int, counted.split())
    said, ours = command([*DVC, "repro", "--dry"], project, repeats)
    to_run = said.count("Running stage")
    state = f"{to_run} stages would run" if to_run else "nothing to do"
    minimum = trivial_repro(stages, 1, 1, repeats) if with_reference else None
    each = round(dependencies / stages), round(outs / stages)
    limit = trivial_repro(stages, *each, repeats)
    size, trivial = f"{stages} stages", "as many trivial stages"
    shape = f"{trivial}, {each[0]} dependencies and {each[1]} outputs each"
    return _outcome("startup dvc repro", size, ours, trivial, minimum, limit, state, shape)


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
