"""The plan as DVC files: one generated `pipelines/<method>/dvc.yaml` per method, and the list of datasets.

A method's file is all that says which of its runs are planned, so that two people who add methods touch no common
file. The list of datasets is what the root's `dvc.yaml` draws and prepares.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from harness.errors import UserError
from harness.inputs.files import read_text
from harness.paths import PIPELINES, write_text
from harness.pipeline.code import algorithm_files
from harness.specs.dataset import RegimeName
from harness.specs.method import InitRun, MethodSpec
from harness.specs.pairing import Pairing
from harness.specs.registry import Registry

HEADER = "# Written by `harness plan` from {origin}; do not edit it, plan again instead. Content {digest}\n"
DIGEST = re.compile(r"Written by `harness plan`.* Content ([0-9a-f]{12})")
PLAIN = re.compile(r"[\w./-]+")
"""A path that YAML takes as it is."""

ENTRY = re.compile(r"  (\S.*):")
"""The line of `dvc.lock` that begins a stage."""
CONFLICT = re.compile(r"^(<{7}|\|{7}|={7}|>{7})", re.MULTILINE)

EVALUATE = """\
    do:
      wdir: ../..
      cmd: harness evaluate ${item}
      deps:
        - results/runs/${item}/record.json
        - harness/pipeline/evaluate.py
      metrics:
        - results/runs/${item}/metrics.json
      outs:
        - results/runs/${item}/queries.parquet
"""
TRAINED = """\
      outs:
        - results/runs/${key}/checkpoint.safetensors
        - results/runs/${key}/record.json
      plots:
        - results/runs/${key}/history.csv: {x: epoch, y: target_map, title: "Target mAP (%)"}
"""


def write_plan(registry: Registry, pairings: Iterable[Pairing]) -> list[str]:
    """Write the files of exactly these pairings; return what the user should know, a line each.

    A file edited by hand is written anew; a lock file loses entries of stages that are no longer there and is mended
    where a merge left conflict markers; a method without runs loses its folder.
    """
    said: list[str] = []
    texts = plan_texts(registry, pairings)
    for path, text in texts.items():
        file = registry.root / path
        if edited(file):
            said.append(f"{path}: was edited by hand; written anew")
        if current_text(file) != text:
            write_text(file, text)
        if path.name == "dvc.yaml":
            said += _tidy_lock(registry.root, path, text)
    for file in sorted((registry.root / PIPELINES).glob("*/dvc.yaml")):
        path = file.relative_to(registry.root)
        if path not in texts and generated(file):
            file.unlink()
            file.with_suffix(".lock").unlink(missing_ok=True)
            with suppress(OSError):  # something of the user's own lies there, too
                file.parent.rmdir()
            said.append(f"{path.parent}: removed; no run of {path.parent.name} is planned")
    return said + _tidy_lock(registry.root, Path("dvc.yaml"), None)


def plan_texts(
    registry: Registry, pairings: Iterable[Pairing], methods: Iterable[str] | None = None
) -> dict[Path, str]:
    """Return what `write_plan` writes, for some of the methods if they are named: path below the root -> content."""
    pairings = list(pairings)
    by_method: dict[str, list[Pairing]] = {}
    for pairing in pairings:
        by_method.setdefault(pairing.method, []).append(pairing)
    texts = {PIPELINES / "datasets.yaml": _datasets_text(registry, pairings)}
    return texts | {
        PIPELINES / method / "dvc.yaml": pipeline_text(registry, method, by_method[method])
        for method in sorted(by_method)
        if methods is None or method in methods
    }


def current_text(path: Path) -> str | None:
    """Return a generated file's text, whatever has become of it; None if it is gone, or no file that can be read."""
    try:
        return read_text(path, "utf-8", "replace")
    except UserError:
        return None


def edited(path: Path) -> bool:
    """Whether a generated file no longer is as it was generated."""
    text = current_text(path)
    if text is None:
        return path.exists()
    head, _, body = text.partition("\n")
    stated = DIGEST.search(head)
    return stated is None or stated[1] != _digest(body)


def generated(path: Path) -> bool:
    """Whether a file is one of ours, edited or not."""
    return DIGEST.search(current_text(path) or "") is not None


def conflict_line(path: Path) -> int | None:
    """Return the line of the first conflict marker that a merge left in a file, from 1; None if there is none."""
    text = current_text(path) or ""
    found = CONFLICT.search(text)
    return text.count("\n", 0, found.start()) + 1 if found else None


def evaluate_stage(pairing: Pairing) -> str:
    """Return the address of the DVC stage that makes a run's scores."""
    return f"{(PIPELINES / pairing.method / 'dvc.yaml').as_posix()}:evaluate@{pairing.key}"


def pipeline_text(registry: Registry, method: str, pairings: Sequence[Pairing]) -> str:
    """Return the content of a method's `dvc.yaml`.

    A group of DVC has one number of dependencies. The runs of a regime that start from more or fewer runs than the
    others are a group of their own.
    """
    spec = registry.method(method)
    groups: dict[str, list[Pairing]] = {}
    for pairing in pairings:
        groups.setdefault(_group(spec, registry.dataset(pairing.target).regime), []).append(pairing)
    body = "stages:\n" + _spec_stage(registry, method, pairings)
    for name, members in groups.items():
        body += _train_stages(registry, name, members)
    body += "  evaluate:\n    foreach:\n" + "".join(f"      - {pairing.key}\n" for pairing in pairings) + EVALUATE
    return _with_header(f"methods/{method}.yaml", body)


def _group(spec: MethodSpec, regime: RegimeName) -> str:
    starts = {name: _starts(section.init) for name, section in spec.regimes.items()}
    return "train" if starts[regime] == starts[min(starts)] else f"train-{regime}"


def _starts(init: object) -> int:
    return len(init.seeds or init.seed_offsets) if isinstance(init, InitRun) else 0


def _spec_stage(registry: Registry, method: str, pairings: Sequence[Pairing]) -> str:
    own, *inherited = (path.relative_to(registry.root).as_posix() for path in registry.spec_files(method))
    code = [path.as_posix() for path in algorithm_files(registry.methods[method].algorithm, registry.root)]
    tasks = " ".join(dict.fromkeys(pairing.task for pairing in pairings))
    return (
        f"  spec:\n    wdir: ../..\n    cmd: harness spec {method} {tasks}\n"
        f"    deps:\n{_items([*inherited, *code, 'results/code.json'], 6)}"
        f"    params:\n      - {_quoted(own)}:\n    outs:\n      - results/specs/{method}\n"
    )


def _train_stages(registry: Registry, group: str, pairings: Sequence[Pairing]) -> str:
    dependencies = {pairing.key: _dependencies(registry, pairing) for pairing in pairings}
    names = next(iter(dependencies.values()))
    listed = ""
    for key, paths in dependencies.items():
        listed += f"      {key}:\n" + "".join(f"        {name}: {_quoted(path)}\n" for name, path in paths.items())
    return (
        f"  {group}:\n    foreach:\n{listed}    do:\n      wdir: ../..\n      cmd: harness train ${{key}}\n"
        f"      deps:\n{_items([f'${{item.{name}}}' for name in names], 8)}{TRAINED}"
    )


def _dependencies(registry: Registry, pairing: Pairing) -> dict[str, str]:
    """What a run is computed from, by name: its spec, its prepared datasets and the runs that it starts from.

    `info.json` of a prepared dataset states the hash of each of its files, so DVC need not look at all of them.
    """
    found = {
        "spec": f"results/specs/{pairing.method}/{pairing.task}.json",
        "target": f"data/prepared/{pairing.target}/info.json",
    }
    if pairing.source:
        found["source"] = f"data/prepared/{pairing.source}/info.json"
    for number, start in enumerate(registry.init_pairings(pairing), 1):
        found[f"start{number}"] = f"results/runs/{start.key}/checkpoint.safetensors"
    return found


def _datasets_text(registry: Registry, pairings: Sequence[Pairing]) -> str:
    names = sorted({name for pairing in pairings for name in (pairing.target, pairing.source) if name})
    drawn = [name for name in names if registry.dataset(name).drawn]
    return _with_header("datasets/", f"drawn: [{', '.join(drawn)}]\nprepared: [{', '.join(names)}]\n")


def _with_header(origin: str, body: str) -> str:
    return HEADER.format(origin=origin, digest=_digest(body)) + body


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:12]


def _items(paths: Iterable[str], indent: int) -> str:
    return "".join(f"{' ' * indent}- {_quoted(path)}\n" for path in dict.fromkeys(paths))


def _quoted(path: str) -> str:
    return path if PLAIN.fullmatch(path) or path.startswith("${") else "'" + path.replace("'", "''") + "'"


def _tidy_lock(root: Path, pipeline: Path, text: str | None) -> list[str]:
    """Mend the lock file beside a pipeline; return what was done.

    Of a merge's two sides the union is kept, this branch's entry where both have one: DVC compares every entry with
    the files, so a wrong one costs a look into its cache of runs and nothing else. `text`: the pipeline's, if entries
    of stages that it does not have are to go.
    """
    path = root / pipeline.with_suffix(".lock")
    before = current_text(path)
    if before is None:
        return []
    conflict = CONFLICT.search(before) is not None
    entries = (
        _entries(_side(before, theirs=True)) | _entries(_side(before, theirs=False)) if conflict else _entries(before)
    )
    kept = {name: entry for name, entry in entries.items() if text is None or _has_stage(text, name)}
    if not conflict and len(kept) == len(entries):
        return []
    write_text(path, "schema: '2.0'\nstages:\n" + "".join(kept.values()) if kept else "schema: '2.0'\nstages: {}\n")
    said = [f"{path.relative_to(root)}: conflict markers of a merge resolved"] if conflict else []
    if gone := len(entries) - len(kept):
        said.append(f"{path.relative_to(root)}: {gone} stages that are no longer there removed")
    return said


def _has_stage(pipeline: str, name: str) -> bool:
    group, _, key = name.partition("@")
    there = f"\n  {group}:\n" in pipeline
    return there and (not key or f"      {key}:\n" in pipeline or f"      - {key}\n" in pipeline)


def _side(text: str, theirs: bool) -> str:
    """Return a file with conflict markers as one side of the merge has it."""
    kept, side = [], None
    for line in text.splitlines(keepends=True):
        marker = CONFLICT.match(line)
        if marker:
            side = {"<": "ours", "|": "base", "=": "theirs", ">": None}[line[0]]
        elif side in (None, "theirs" if theirs else "ours"):
            kept.append(line)
    return "".join(kept)


def _entries(lock: str) -> dict[str, str]:
    """Return the stages of a lock file, each with its lines."""
    found: dict[str, str] = {}
    name = None
    for line in lock.splitlines(keepends=True):
        begun = ENTRY.fullmatch(line.rstrip("\n"))
        if begun:
            name = begun[1]
            found[name] = line
        elif name and line.startswith("   "):
            found[name] += line
        else:
            name = None
    return found
