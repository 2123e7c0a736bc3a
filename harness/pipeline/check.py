"""What `harness check` finds: every spec, every pairing, every prepared dataset."""

from __future__ import annotations

from harness.errors import UserError
from harness.pipeline.paths import PAIRINGS, prepared_folder, raw_folder
from harness.pipeline.plan import plan_document
from harness.specs.method import InitRun
from harness.specs.pairing import Pairing, parse_key
from harness.specs.registry import Registry
from harness.specs.yamlfile import line_of, nearest, read_yaml


def check_project(registry: Registry) -> list[str]:
    """Return what is wrong, one message each, with file and line where there is one; empty if all is well."""
    problems = list(registry.problems)
    for name in registry.methods:
        problems += _check_method(registry, name)
    for name in registry.datasets:
        problems += _check_dataset(registry, name)
    if not problems:
        problems += _check_plan(registry)
    return list(dict.fromkeys(problems))


def _check_method(registry: Registry, name: str) -> list[str]:
    """Resolve the method on every task it fits, which validates its parameters, regimes and adjustments."""
    spec, problems = registry.methods[name], []
    path = registry.spec_files(name)[0]
    for regime, section in spec.regimes.items():
        if isinstance(section.init, InitRun):
            known = (("method", set(registry.methods)), ("dataset", set(registry.datasets)))
            for kind, names in known:
                value = getattr(section.init, kind)
                if value is not None and value not in names:
                    line = line_of(path, ["regimes", regime, "init"]) or 1
                    problems.append(f"{path}:{line}: init: no {kind} is called {value!r}{nearest(value, names)}")
        for target in section.targets:
            if target not in registry.datasets:
                line = line_of(path, ["regimes", regime, "targets", target]) or 1
                hint = nearest(target, registry.datasets)
                problems.append(f"{path}:{line}: targets: no dataset is called {target!r}{hint}")
    for other in spec.judged_against:
        if other not in registry.methods:
            line = line_of(path, ["judged_against"]) or 1
            hint = nearest(other, registry.methods)
            problems.append(f"{path}:{line}: judged_against: no method is called {other!r}{hint}")
    for reported in spec.reported:
        if reported.target not in registry.datasets:  # a source may be a dataset that only others use
            hint = nearest(reported.target, registry.datasets)
            line = line_of(path, ["reported"]) or 1
            problems.append(f"{path}:{line}: reported: no dataset is called {reported.target!r}{hint}")
    if not problems:
        for target, dataset in registry.datasets.items():
            sources = dataset.sources if spec.setting in ("uda", "direct") else (None,)
            for source in sources:
                if (source is None or source in registry.datasets) and not registry.incompatible(name, source, target):
                    problems += _messages(registry, Pairing(name, source, target, 0))
    return problems


def _messages(registry: Registry, pairing: Pairing) -> list[str]:
    try:
        registry.resolved(pairing)
        registry.init_pairings(pairing)
    except UserError as error:
        return str(error).split("\n")
    return []


def _check_dataset(registry: Registry, name: str) -> list[str]:
    spec, path = registry.datasets[name], registry.root / "datasets" / f"{name}.yaml"
    problems = []
    for source in spec.sources:
        if source not in registry.datasets:
            hint = nearest(source, registry.datasets)
            problems.append(f"{path}:{line_of(path, ['sources'])}: sources: no dataset is called {source!r}{hint}")
    if prepared_folder(registry.root, name).exists() and raw_folder(registry.root, name).exists():
        from harness.data.prepared import open_prepared

        try:
            info = open_prepared(prepared_folder(registry.root, name)).info
            size = (info["height"], info["width"])
            if size != (spec.image.height, spec.image.width):
                problems.append(
                    f"data/prepared/{name}: holds images of {size[0]}×{size[1]}, the spec says "
                    f"{spec.image.height}×{spec.image.width}; run: dvc repro prepare@{name}"
                )
        except UserError as error:
            problems.append(str(error))
    return problems


def _check_plan(registry: Registry) -> list[str]:
    """Compare pairings.yaml with the specs: unknown names, impossible pairings, and whether it must be planned anew."""
    path = registry.root / PAIRINGS
    if not path.exists():
        return [f"{path.name}: is not there; run: harness plan"]
    problems, stated = [], read_yaml(path)
    for key in stated.get("runs") or {}:
        try:
            registry.resolved(parse_key(key))
        except UserError as error:
            problems.append(f"{path.name}:{line_of(path, ['runs', key])}: {error}")
    if not problems and stated != plan_document(registry, registry.planned.values()):
        problems.append(f"{path.name}: does not fit the specs any more; run: harness plan")
    return problems
