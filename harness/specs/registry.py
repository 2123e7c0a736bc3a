"""All specs of a project: adding a YAML file under `datasets/` or `methods/` registers it."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel

from harness.errors import UserError
from harness.inputs.files import read_bytes
from harness.inputs.yaml import read_yaml
from harness.paths import PIPELINES
from harness.specs.base import Frozen
from harness.specs.dataset import DatasetSpec, RegimeName
from harness.specs.method import InitRun, MethodSpec, ResolvedMethod
from harness.specs.pairing import KEY, Pairing, parse_key
from harness.specs.reported import ReportedMethod
from harness.specs.resolve import CyclicExtendsError, extends_chain, flatten, resolve, sized
from harness.specs.yamlfile import line_of, nearest, validate

PLANNED = re.compile(rf"^ *- ({re.sub(r'[(][?]P<[a-z]+>', '(?:', KEY.pattern)})$", re.MULTILINE)
"""A run's key in the list of those that a method's pipeline evaluates."""

Spec = TypeVar("Spec", DatasetSpec, MethodSpec)


class _ReportedFile(Frozen):
    methods: tuple[ReportedMethod, ...]


@dataclass(frozen=True)
class Registry:
    """The specs under one project root, each validated by itself; `problems` are the messages of those that are not.

    `raw_methods` are the mappings of the methods' files, `bases` those of `methods/regimes/`, by regime.

    A spec with a problem is absent from `datasets` / `methods`.
    """

    root: Path
    datasets: dict[str, DatasetSpec]
    methods: dict[str, MethodSpec]
    reported: tuple[ReportedMethod, ...]
    problems: tuple[str, ...]
    raw_methods: dict[str, dict[str, Any]]
    bases: dict[str, dict[str, Any]]

    @classmethod
    def load(cls, root: Path) -> Registry:
        """Read every spec under `root`; never raises for a wrong spec, see `problems` and `checked`."""
        problems: list[str] = []
        datasets, _ = _load_folder(root / "datasets", DatasetSpec, problems)
        wrong_bases: list[str] = []
        bases = _load_bases(root / "methods" / "regimes", wrong_bases)
        problems += wrong_bases
        # With a wrong base every method would be complained of, too.
        methods, raw_methods = _load_folder(root / "methods", MethodSpec, [] if wrong_bases else problems, bases)
        reported: tuple[ReportedMethod, ...] = ()
        path = root / "reported.yaml"
        if path.exists():
            try:
                reported = validate(_ReportedFile, read_yaml(path), [path]).methods
            except UserError as error:
                problems.append(str(error))
        lines = [line.replace(f"{root}/", "") for problem in problems for line in problem.split("\n")]
        return cls(root, datasets, methods, reported, tuple(dict.fromkeys(lines)), raw_methods, bases)

    def checked(self) -> Registry:
        """Return self if every spec is valid. Raises UserError with all problems."""
        if self.problems:
            raise UserError("\n".join(self.problems))
        return self

    def dataset(self, name: str) -> DatasetSpec:
        """Return the dataset called `name`. Raises UserError with the nearest name."""
        if name not in self.datasets:
            raise UserError(self._unknown("dataset", name, self.datasets))
        return self.datasets[name]

    def method(self, name: str) -> MethodSpec:
        """Return the method called `name`. Raises UserError with the nearest name."""
        if name not in self.methods:
            raise UserError(self._unknown("method", name, self.methods))
        return self.methods[name]

    def _unknown(self, kind: str, name: str, known: dict[str, Any]) -> str:
        own = f"{kind}s/{name}.yaml"
        broken = [problem for problem in self.problems if own in problem or "methods/regimes/" in problem]
        if broken:
            return "\n".join(broken)
        return f"no {kind} is called {name!r}{nearest(name, known)}"

    def spec_files(self, method: str) -> list[Path]:
        """Return the YAML files that define `method`: itself, what it extends, and the bases of its regimes."""
        regimes = self.method(method).regimes
        names = [
            *extends_chain(method, self.raw_methods),
            *(f"regimes/{regime}" for regime in self.bases if regime in regimes),
        ]
        return [self.root / "methods" / f"{name}.yaml" for name in names]

    def merged(self, method: str, target: str) -> dict[str, Any]:
        """Return what a run of `method` on `target` computes, merged from all files and not validated."""
        dataset = self.dataset(target)
        found = resolve(method, self.raw_methods, self.bases, dataset.regime, target)
        return sized(found, dataset.image.height, dataset.image.width)

    def resolved(self, pairing: Pairing) -> ResolvedMethod:
        """Return what a run of `pairing` computes, hyper-parameters validated by its algorithm.

        Raises UserError for unknown names, an incompatible pairing, a missing algorithm or wrong parameters.
        """
        method, target = self.method(pairing.method), self.dataset(pairing.target)
        reason = self.incompatible(pairing.method, pairing.source, pairing.target)
        if reason:
            raise UserError(f"{pairing.key}: {reason}")
        files = self.spec_files(method.name)
        merged = self.merged(method.name, target.name)
        model = import_algorithm(method.algorithm, files[0])
        section = ("regimes", target.regime)
        adjusted = (*section, "targets", target.name)
        stated = [(*adjusted, "params"), (*section, "params"), ("params",)]
        params = validate(model, merged["params"], files, stated)
        resolved = merged | {"params": params.model_dump(mode="json")}
        return validate(ResolvedMethod, resolved, files, [adjusted, section])

    def incompatible(self, method: str, source: str | None, target: str) -> str | None:
        """Return why `method` cannot run on (`source` →) `target`, or None if it can."""
        spec, dataset = self.method(method), self.dataset(target)
        if dataset.role == "init" and spec.role != "init":
            return f"{target} only serves to pre-train a start; it is not a task"
        if dataset.regime not in spec.regimes:
            return f"{method} has no '{dataset.regime}' regime, which {target} needs"
        if spec.setting == "supervised" and not dataset.labeled:
            return f"{method} is a 'supervised' method: it needs identities, {target} has none"
        if (spec.setting == "direct" or spec.role == "canary") and not dataset.evaluated:
            return f"{method} does not train on {target}, which has nothing to evaluate it on"
        if spec.needs_cameras and dataset.cameras in (0, 1):
            found = "come without" if dataset.cameras == 0 else "all come from one"
            return f"{method} uses the cameras of the images, and those of {target} {found}"
        needs_source = spec.setting in ("uda", "direct")
        if needs_source and source is None:
            return f"{method} is a '{spec.setting}' method: it needs a labeled source"
        if not needs_source and source is not None:
            return f"{method} is a '{spec.setting}' method: it takes no source"
        if source is not None:
            origin = self.dataset(source)
            if source == target:
                return "source and target are the same dataset"
            if not origin.labeled:
                return f"{source} has no identities, so it is no labeled source"
            if origin.kind != dataset.kind:
                return f"{source} is of kind {origin.kind}, {target} of kind {dataset.kind}"
            if origin.regime != dataset.regime:
                return f"{source} is in the '{origin.regime}' regime, {target} in '{dataset.regime}'"
        return None

    def init_pairings(self, pairing: Pairing) -> list[Pairing]:
        """Return the runs that `pairing` starts from (empty for published or random weights)."""
        spec, regime = self.method(pairing.method), self.dataset(pairing.target).regime
        init = spec.regimes[regime].init
        if not isinstance(init, InitRun):
            return []
        dataset = init.dataset or pairing.source
        if dataset is None:
            raise UserError(f"{pairing.key}: init starts from {init.method!r} on the source, but there is no source")
        self.dataset(dataset)
        if self.method(init.method).setting == "uda":  # a start of its own for each source → target pair
            return [Pairing(init.method, dataset, pairing.target, seed) for seed in init.seeds_for(pairing.seed)]
        return [Pairing(init.method, None, dataset, seed) for seed in init.seeds_for(pairing.seed)]

    @cached_property
    def planned(self) -> dict[str, Pairing]:
        """The pairings that `pipelines/<method>/dvc.yaml` evaluate, by key, sorted by task, method and seed.

        They are found in the text, so that a file that a merge or an editor broke still says what was planned. A file
        that cannot be read plans nothing: see `unreadable_plans`.
        """
        found = []
        for name, text in self._plans[0].items():
            keys = set(PLANNED.findall(text))
            found += [parse_key(key) for key in keys if key.startswith(f"{name}__")]
        return {pairing.key: pairing for pairing in sorted(found, key=lambda p: (p.task, p.method, p.seed))}

    @property
    def unreadable_plans(self) -> dict[str, str]:
        """Why a method's pipeline cannot be read, by its path."""
        return self._plans[1]

    @cached_property
    def _plans(self) -> tuple[dict[str, str], dict[str, str]]:
        texts, problems = {}, {}
        for path in sorted(self.root.glob(f"{PIPELINES}/*/dvc.yaml")):
            try:
                texts[path.parent.name] = read_bytes(path).decode("utf-8", "replace")
            except UserError as error:
                problems[str(path.relative_to(self.root))] = str(error).removeprefix(f"{path}: ")
        return texts, problems


def load_dataset(name: str | Path, root: Path | None = None) -> DatasetSpec:
    """Return the dataset spec called `name` under project `root` (default: the current folder), or in file `name`."""
    return _load_one(name, "datasets", root, lambda registry, key: registry.dataset(key))


def load_method(name: str | Path, root: Path | None = None) -> MethodSpec:
    """Return the method spec called `name` under project `root` (default: the current folder), or in file `name`."""
    return _load_one(name, "methods", root, lambda registry, key: registry.method(key))


Loaded = TypeVar("Loaded")


def _load_one(name: str | Path, folder: str, root: Path | None, get: Callable[[Registry, str], Loaded]) -> Loaded:
    path = Path(name)
    if path.suffix == ".yaml":
        if not path.exists():
            raise UserError(f"{path}: no such file")
        root = path.resolve().parent.parent if root is None else root
        return get(Registry.load(root), path.stem)
    return get(Registry.load(root or Path()), str(name))


def import_algorithm(path: str, stated_in: Path) -> type[BaseModel]:
    """Return the hyper-parameter model of the algorithm at import path `package.module:Class`.

    Raises UserError naming the spec's line if the module or the class is missing, or is no algorithm.
    """
    module_name, class_name = path.split(":")

    def wrong(what: str) -> UserError:
        return UserError(f"{stated_in}:{line_of(stated_in, ['algorithm']) or 1}: algorithm: {what}")

    try:
        module = importlib.import_module(module_name)
    except (ImportError, SyntaxError) as error:
        raise wrong(f"{path!r} cannot be imported: {error}") from error
    algorithm = getattr(module, class_name, None)
    if algorithm is None:
        classes = [name for name, value in vars(module).items() if isinstance(getattr(value, "Params", None), type)]
        raise wrong(f"module {module_name!r} has no {class_name!r}{nearest(class_name, classes)}")
    params = getattr(algorithm, "Params", None)
    if not (isinstance(params, type) and issubclass(params, BaseModel)):
        raise wrong(f"{path!r} is no algorithm: it has no Pydantic model called Params")
    return params


def _load_bases(folder: Path, problems: list[str]) -> dict[str, dict[str, Any]]:
    """Read what all methods of a regime share, by regime; append to `problems`."""
    bases: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            base = read_yaml(path)
        except UserError as error:
            problems.append(str(error))
            continue
        bases[path.stem] = base
        if path.stem not in get_args(RegimeName):
            problems.append(f"{path}: no regime is called {path.stem!r}{nearest(path.stem, get_args(RegimeName))}")
        unknown = [key for key in base if key != "compute"]
        lines = [line_of(path, ["regimes", path.stem, key]) for key in unknown]
        problems += [
            f"{path}:{line}: {key}: unknown key; valid: compute" for line, key in zip(lines, unknown, strict=True)
        ]
    return bases


def _load_folder(
    folder: Path, model: type[Spec], problems: list[str], bases: Mapping[str, Mapping[str, Any]] = {}
) -> tuple[dict[str, Spec], dict[str, dict[str, Any]]]:
    """Read every YAML file of `folder`; append to `problems`. Returns the valid specs and the raw mappings by name."""
    raw: dict[str, dict[str, Any]] = {}
    paths: dict[str, Path] = {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            data = read_yaml(path)
        except UserError as error:
            problems.append(str(error))
            continue
        name = data.get("name")
        if name is not None and not isinstance(name, str):
            line = line_of(path, ["name"])
            problems.append(f"{path}:{line}: name: YAML reads {name!r} as {type(name).__name__}; choose another name")
        elif name is None:
            problems.append(f"{path}:1: name: required, but not stated")
        elif name in paths:
            problems.append(f"{path}:{line_of(path, ['name'])}: name: {name!r} is already the name of {paths[name]}")
        elif name != path.stem:
            problems.append(
                f"{path}:{line_of(path, ['name'])}: name: {name!r} must equal the file's name {path.stem!r}"
            )
        elif not isinstance(data.get("extends"), str | None):
            line = line_of(path, ["extends"])
            problems.append(f"{path}:{line}: extends: must be the name of one spec (found {data['extends']!r})")
        else:
            raw[name], paths[name] = data, path
    specs: dict[str, Spec] = {}
    for name, path in paths.items():
        try:
            chain = extends_chain(name, raw)
            files = [paths[link] for link in chain] + [folder / "regimes" / f"{regime}.yaml" for regime in bases]
            specs[name] = validate(model, flatten(name, raw, bases), files)
        except CyclicExtendsError as error:
            line = line_of(path, ["extends"])
            problems.append(f"{path}:{line}: extends: goes round in a circle: {' -> '.join(error.args[0])}")
        except KeyError as error:
            hint = nearest(str(error.args[0]), raw)
            problems.append(f"{path}:{line_of(path, ['extends'])}: extends: no spec is called {error.args[0]!r}{hint}")
        except UserError as error:
            problems.append(str(error))
    return specs, raw
