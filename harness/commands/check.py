"""What `harness check` finds: every spec, every pairing, every prepared dataset."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from harness.commands.impossible import impossibilities
from harness.errors import UserError
from harness.paths import PIPELINES, prepared_folder, raw_folder
from harness.pipeline.pipelines import conflict_line, current_text, edited, generated, plan_texts
from harness.pipeline.plan import plan_pairings, possible
from harness.specs.method import InitRun
from harness.specs.pairing import Pairing
from harness.specs.registry import Registry
from harness.specs.yamlfile import Location, line_of, nearest


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


def unplanned_methods(registry: Registry) -> set[str]:
    """Return the methods that run on some present dataset, and of which no pairing is planned."""
    possible = {pairing.method for pairing in plan_pairings(registry, [0])}
    return possible - {pairing.method for pairing in registry.planned.values()}


def without_cameras(registry: Registry) -> dict[str, list[str]]:
    """Return the methods that would run on a dataset if its images told their cameras, by dataset."""
    found: dict[str, list[str]] = {}
    for name, dataset in registry.datasets.items():
        lacking = [
            spec.name for spec in registry.methods.values() if spec.needs_cameras and dataset.regime in spec.regimes
        ]
        if dataset.role == "task" and dataset.cameras in (0, 1) and lacking:
            found[name] = lacking
    return found


def _check_method(registry: Registry, name: str) -> list[str]:
    """Resolve the method on every task it fits, which validates its parameters, regimes and adjustments."""
    spec, path = registry.methods[name], registry.spec_files(name)[0]
    datasets, methods = _names(registry, "datasets"), _names(registry, "methods")
    problems: list[str] = []
    for regime, section in spec.regimes.items():
        if isinstance(section.init, InitRun):
            place = ["regimes", regime, "init"]
            problems += _unknown(path, place, "init", "method", section.init.method, methods)
            problems += _unknown(path, place, "init", "dataset", section.init.dataset, datasets)
        for target in section.targets:
            problems += _unknown(path, ["regimes", regime, "targets", target], "targets", "dataset", target, datasets)
    for other in spec.judged_against:
        problems += _unknown(path, ["judged_against"], "judged_against", "method", other, methods)
    for reported in spec.reported:  # its source may be a dataset that only others use
        problems += _unknown(path, ["reported"], "reported", "dataset", reported.target, datasets)
    if not problems:
        for target, dataset in registry.datasets.items():
            sources = dataset.sources if spec.setting in ("uda", "direct") else (None,)
            for source in sources:
                if (source is None or source in registry.datasets) and not registry.incompatible(name, source, target):
                    problems += _messages(registry, Pairing(name, source, target, 0))
    return problems


def _names(registry: Registry, folder: str) -> set[str]:
    """Every name that a spec may refer to; those of broken specs too, which are complained of once, by themselves."""
    return {path.stem for path in (registry.root / folder).glob("*.yaml")}


def _unknown(path: Path, place: Location, key: str, kind: str, name: str | None, known: set[str]) -> list[str]:
    """The complaint about a name, at `place` in a spec, that no spec of its kind has."""
    if name is None or name in known:
        return []
    return [f"{path}:{line_of(path, place) or 1}: {key}: no {kind} is called {name!r}{nearest(name, known)}"]


def _messages(registry: Registry, pairing: Pairing) -> list[str]:
    try:
        method = registry.resolved(pairing)
        if not registry.problems:  # a start may be one of the broken specs
            return list(impossibilities(registry, pairing, method))
    except UserError as error:
        return str(error).split("\n")
    return []


def _check_dataset(registry: Registry, name: str) -> list[str]:
    spec, path = registry.datasets[name], registry.root / "datasets" / f"{name}.yaml"
    problems = []
    for source in spec.sources:
        problems += _unknown(path, ["sources"], "sources", "dataset", source, _names(registry, "datasets"))
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
    """Compare what `harness plan` wrote with what it would write now, and look at the lock files beside it."""
    if not registry.planned:
        return ["nothing is planned; run: harness plan"]
    problems, planned = [], {pairing.method for pairing in registry.planned.values()}
    for path in sorted((registry.root / PIPELINES).glob("*/dvc.yaml")):
        name, place = path.parent.name, path.relative_to(registry.root)
        if name in registry.methods and name not in planned:
            problems.append(f"{place}: was edited by hand and names no run any more; run: harness plan")
        elif name not in registry.methods and generated(path):
            problems.append(f"{place.parent}: its method is gone; run: harness plan")
    impossible = [pairing for pairing in registry.planned.values() if not possible(registry, pairing)]
    problems += [
        f"{_file(pairing)}: {pairing.key} cannot run any more{_why(registry, pairing)}; run: harness plan"
        for pairing in impossible
    ]
    return problems or stale_pipelines(registry, registry.planned.values())


def stale_pipelines(registry: Registry, pairings: Iterable[Pairing]) -> list[str]:
    """Return which generated files of these planned pairings are not what `harness plan` would write, and why."""
    planned = list(registry.planned.values())
    names = {pairing.method for pairing in pairings}
    problems = []
    for path, text in plan_texts(registry, planned, names).items():
        file = registry.root / path
        if current_text(file) != text:
            why = "was edited by hand" if edited(file) else "does not fit the specs any more"
            problems.append(f"{path}: {why}; run: harness plan --add")
    for path in (Path("dvc.yaml"), *(PIPELINES / name / "dvc.yaml" for name in sorted(names))):
        lock = path.with_suffix(".lock")
        if line := conflict_line(registry.root / lock):
            problems.append(f"{lock}:{line}: a merge left conflict markers; run: harness plan --add")
    return problems


def _why(registry: Registry, pairing: Pairing) -> str:
    """Why a method and a dataset that are there do not fit together any more."""
    if pairing.method not in registry.methods or {pairing.source, pairing.target} - {None, *registry.datasets}:
        return ""
    return f": {registry.incompatible(pairing.method, pairing.source, pairing.target)}"


def _file(pairing: Pairing) -> Path:
    return PIPELINES / pairing.method / "dvc.yaml"
