"""What is planned: from specs and present datasets to pairings. `pipelines.py` writes them as stages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.errors import UserError
from harness.paths import raw_folder
from harness.specs.dataset import DatasetSpec
from harness.specs.method import MethodSpec
from harness.specs.pairing import Pairing
from harness.specs.registry import Registry

STARTER_SEEDS = 1
ABLATION_SEEDS = 3
DRAWN_SEEDS = 5
OTHER_SEEDS = 3
"""How many seeds a run gets where nobody says which: `make`'s starter, ablations, the drawn benchmark's other methods,
and those of real datasets."""


def present_datasets(registry: Registry) -> list[str]:
    """Return the datasets that can be prepared: drawn ones, and real ones that were added."""
    return [
        name
        for name, spec in registry.datasets.items()
        if spec.drawn or (raw_folder(registry.root, name).parent / f"{name}.dvc").exists()
    ]


def plan_pairings(
    registry: Registry,
    seeds: Sequence[int] | None = None,
    methods: Sequence[str] | None = None,
    targets: Sequence[str] | None = None,
) -> list[Pairing]:
    """Return every compatible pairing of the chosen methods, targets and seeds, and the runs that they start from.

    By default all methods except pure starts, on every present task; ablations on the starter task alone (if there is
    one), unless `methods` names them or `targets` are given. Raises UserError for unknown names.
    """
    registry.checked()
    present = present_datasets(registry)
    for name in targets or ():
        registry.dataset(name)
        if name not in present:
            raise UserError(f"dataset {name!r} is not here yet; run: harness data add {name} PATH")
    chosen = [registry.method(name) for name in methods] if methods else list(registry.methods.values())
    starters = [name for name in present if registry.dataset(name).starter]
    wanted: list[Pairing] = []
    for method in chosen:
        if method.role == "init" and not methods:
            continue
        few = method.role == "ablation" and not methods and not targets
        for target in (starters if few else targets) or present:
            dataset = registry.dataset(target)
            wanted += [
                Pairing(method.name, source, target, seed)
                for source in _sources(method, dataset, present)
                if registry.incompatible(method.name, source, target) is None
                for seed in (range(_default_seeds(method, dataset)) if seeds is None else seeds)
            ]
    return with_inits(registry, wanted)


def _sources(method: MethodSpec, dataset: DatasetSpec, present: Sequence[str]) -> list[str | None]:
    if method.setting in ("uda", "direct"):
        return [source for source in dataset.sources if source in present]
    return [None]


def _default_seeds(method: MethodSpec, dataset: DatasetSpec) -> int:
    if method.role == "ablation":
        return ABLATION_SEEDS
    return DRAWN_SEEDS if dataset.drawn else OTHER_SEEDS


def with_inits(registry: Registry, pairings: Iterable[Pairing]) -> list[Pairing]:
    """Return `pairings` and the runs that they start from, sorted by task, method and seed."""
    closed: set[Pairing] = set()
    pending = list(pairings)
    while pending:
        pairing = pending.pop()
        if pairing not in closed:
            closed.add(pairing)
            pending += registry.init_pairings(pairing)
    return sorted(closed, key=plan_order)


def plan_order(pairing: Pairing) -> tuple[str, str, int]:
    """The order of a plan, for `sorted`."""
    return pairing.task, pairing.method, pairing.seed


def starter_pairings(registry: Registry) -> list[Pairing]:
    """Return what `make` runs: methods marked `starter` on the starter task of each drawn dataset."""
    wanted = []
    for target, dataset in registry.datasets.items():
        if dataset.starter:
            for method in registry.methods.values():
                source = dataset.sources[0] if method.setting in ("uda", "direct") and dataset.sources else None
                if method.starter and registry.incompatible(method.name, source, target) is None:
                    wanted += [Pairing(method.name, source, target, seed) for seed in range(STARTER_SEEDS)]
    return with_inits(registry, wanted)


def possible(registry: Registry, pairing: Pairing) -> bool:
    """Whether the specs that a planned pairing names are there and fit together."""
    known = pairing.method in registry.methods and {pairing.target, pairing.source} <= {None, *registry.datasets}
    return known and not registry.incompatible(pairing.method, pairing.source, pairing.target)
