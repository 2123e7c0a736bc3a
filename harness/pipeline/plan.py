"""From specs and present datasets to `pairings.yaml`, the table that `dvc.yaml` is a template over."""

from __future__ import annotations

from collections.abc import Iterable
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from harness.errors import UserError
from harness.paths import PAIRINGS, raw_folder, write_text
from harness.pipeline.code import algorithm_files
from harness.specs.pairing import Pairing
from harness.specs.registry import Registry

HEADER = "# Written by `harness plan` from the specs and the datasets present; do not edit, plan again instead.\n"
INIT_SLOTS = 3
CODE_SLOTS = 2


def present_datasets(registry: Registry) -> list[str]:
    """Return the datasets that can be prepared: drawn ones, and real ones that were added."""
    return [
        name
        for name, spec in registry.datasets.items()
        if spec.drawn or (raw_folder(registry.root, name).parent / f"{name}.dvc").exists()
    ]


def plan_pairings(
    registry: Registry,
    seeds: Iterable[int],
    methods: Iterable[str] | None = None,
    targets: Iterable[str] | None = None,
) -> list[Pairing]:
    """Return every compatible pairing of the chosen methods, targets and seeds, and the runs that they start from.

    By default all methods except pure starts, on every present task. Raises UserError for unknown names.
    """
    registry.checked()
    present = present_datasets(registry)
    for name in [*(targets or [])]:
        registry.dataset(name)
        if name not in present:
            raise UserError(f"dataset {name!r} is not here yet; run: harness data add {name} PATH")
    chosen = [registry.method(name) for name in methods] if methods else list(registry.methods.values())
    wanted: list[Pairing] = []
    for seed in seeds:
        for method in chosen:
            if method.role == "init" and not methods:
                continue
            for target in targets or present:
                sources: tuple[str | None, ...] = (None,)
                if method.setting in ("uda", "direct"):
                    sources = tuple(s for s in registry.dataset(target).sources if s in present)
                wanted += [
                    Pairing(method.name, source, target, seed)
                    for source in sources
                    if registry.incompatible(method.name, source, target) is None
                ]
    return with_inits(registry, wanted)


def with_inits(registry: Registry, pairings: Iterable[Pairing]) -> list[Pairing]:
    """Return `pairings` and, before each, the runs that it starts from, sorted by task, method and seed."""
    closed: set[Pairing] = set()
    pending = list(pairings)
    while pending:
        pairing = pending.pop()
        if pairing not in closed:
            closed.add(pairing)
            pending += registry.init_pairings(pairing)
    return sorted(closed, key=lambda p: (p.task, p.method, p.seed))


def starter_pairings(registry: Registry) -> list[Pairing]:
    """Return what `make` runs: methods marked `starter` on the starter task of each drawn dataset, seed 0."""
    wanted = []
    for target, dataset in registry.datasets.items():
        if dataset.starter:
            for method in registry.methods.values():
                source = dataset.sources[0] if method.setting in ("uda", "direct") and dataset.sources else None
                if method.starter and registry.incompatible(method.name, source, target) is None:
                    wanted.append(Pairing(method.name, source, target, 0))
    return with_inits(registry, wanted)


def plan_document(registry: Registry, pairings: Iterable[Pairing]) -> dict[str, Any]:
    """Return the content of `pairings.yaml`."""
    pairings = list(pairings)
    names = sorted({name for p in pairings for name in (p.target, p.source) if name})
    return {
        "drawn": {name: _files(registry, "datasets", name) for name in names if registry.datasets[name].drawn},
        "datasets": {name: _files(registry, "datasets", name) for name in names},
        "methods": {name: _method_entry(registry, name, pairings) for name in sorted({p.method for p in pairings})},
        "runs": {pairing.key: _run_entry(registry, pairing) for pairing in pairings},
    }


def write_plan(registry: Registry, pairings: Iterable[Pairing]) -> Path:
    """Write `pairings.yaml` atomically and return its path."""
    path = registry.root / PAIRINGS
    yaml = YAML()
    yaml.default_flow_style = None
    yaml.width = 1000
    text = StringIO()
    yaml.dump(plan_document(registry, pairings), text)
    write_text(path, HEADER + text.getvalue())
    return path


def _files(registry: Registry, folder: str, name: str) -> dict[str, str]:
    """The YAML files whose content defines a spec: its own, and what it extends (itself again where nothing)."""
    specs: dict[str, Any] = dict(registry.methods if folder == "methods" else registry.datasets)
    parent = specs[name].extends or name
    grandparent = specs[parent].extends or parent
    if specs[grandparent].extends:
        raise UserError(f"{folder}/{name}.yaml: extends: a chain of more than three specs; extend a nearer one")
    return {
        "file": f"{folder}/{name}.yaml",
        "parent": f"{folder}/{parent}.yaml",
        "root": f"{folder}/{grandparent}.yaml",
    }


def _method_entry(registry: Registry, name: str, pairings: list[Pairing]) -> dict[str, Any]:
    """What the `spec` stage of a method needs: its YAML files, its own code, and the tasks to resolve it for."""
    code = [path.as_posix() for path in algorithm_files(registry.methods[name].algorithm, registry.root)]
    if len(code) > CODE_SLOTS:
        raise UserError(
            f"methods/{name}.yaml: the algorithm's code is {len(code)} files; the pipeline has room for two"
        )
    tasks = sorted({pairing.task for pairing in pairings if pairing.method == name})
    unused = ["harness/specs/base.py", "harness/specs/compute.py"]  # results/code.json stands for both anyway
    return _files(registry, "methods", name) | {"tasks": " ".join(tasks), "code": [*code, *unused][:CODE_SLOTS]}


def _run_entry(registry: Registry, pairing: Pairing) -> dict[str, Any]:
    """What the templates of `dvc.yaml` need to know of a run.

    DVC wants as many dependencies for every run. A run without a source, or with fewer than three inits, names parts of
    its target instead, which it depends on anyway.
    """
    target, source = f"data/prepared/{pairing.target}", f"data/prepared/{pairing.source}"
    inits = [f"results/runs/{init.key}/checkpoint.safetensors" for init in registry.init_pairings(pairing)]
    if len(inits) > INIT_SLOTS:
        raise UserError(f"{pairing.key}: starts from {len(inits)} runs; the pipeline has room for {INIT_SLOTS}")
    unused = [f"{target}/{part}" for part in ("train.npy", "query.npy", "gallery.npy")]
    return {
        "spec": f"results/specs/{pairing.method}/{pairing.task}.json",
        "target": f"{target}/info.json",
        "source": f"{source}/info.json" if pairing.source else f"{target}/manifest.parquet",
        "init": [*inits, *unused][:INIT_SLOTS],
    }
