"""A project in which every shipped method trains in a second: few identities, images of 32×16, two epochs."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from torch import Tensor

from harness.data.prepare import prepare
from harness.drawn.dataset import draw_dataset
from harness.learning.state import read_tensors
from harness.paths import prepared_folder, raw_folder, run_folder
from harness.pipeline.training.train import train
from harness.specs import Pairing, Registry
from harness.specs.resolve import flatten, merge

PROJECT = Path(__file__).parents[2]
SOURCE, TARGET = "drawn-winter", "drawn-summer"
IMAGE = {"height": 32, "width": 16}
ROWS = 2
"""Of the narrow backbone's map of such an image: so many parts it can have."""
DRAWN = {
    **IMAGE, "distractors": 4, "junk": 2,
    "train": {"identities": 12, "cameras": [3, 4], "images": [2, 3]},
    "test": {"identities": 6, "cameras": [3, 3], "images": [2, 3]},
}  # fmt: skip
COMPUTE = {"batch": {"identities": 4, "instances": 2}, "epochs": 2, "iterations": 2, "evaluate_every": 1}
PARTS: dict[str, dict[str, Any]] = {
    "jaccard": {"k1": 8, "k2": 3},
    "jaccard-reranking": {"k1": 8, "k2": 3},
    "ca-jaccard": {"k1_intra": 2, "k1_inter": 5, "k2_intra": 1, "k2_inter": 2},
    "cosine": {"k": 8},
    "dbscan": {"eps": 0.5, "min_samples": 2},
    "dbscan-data-driven": {"rho": 0.05, "min_samples": 2},
    "hdbscan": {"min_cluster_size": 3, "min_samples": 2},
    "infomap": {"max_distance": 0.5, "min_cluster_size": 3},
}
"""What suits a hundred images, by the kind of distance or clustering."""
TIMINGS = {"seconds", "images_per_second"}

Mapping = dict[str, Any]


@cache
def shipped() -> Registry:
    """The project's own specs."""
    return Registry.load(PROJECT).checked()


def drawn_methods() -> list[str]:
    """Every shipped method that runs on the drawn benchmark."""
    return [name for name, spec in shipped().methods.items() if "drawn" in spec.regimes]


def read(path: Path) -> Mapping:
    return dict(YAML(typ="safe").load(path.read_text(encoding="utf-8")))


def write(path: Path, content: Mapping) -> None:
    with path.open("w", encoding="utf-8") as file:
        YAML(typ="safe").dump(content, file)


def write_specs(root: Path, methods: Iterable[str]) -> None:
    """Write the drawn datasets and `methods`, made tiny, as specs without `extends` and without the paper's regime."""
    for folder in ("datasets", "methods"):
        (root / folder).mkdir(parents=True)
    for path in (PROJECT / "datasets").glob("drawn-*.yaml"):
        spec = read(path)
        if spec.get("kind") == "person":
            write(root / "datasets" / path.name, spec | {"image": IMAGE, "drawn": spec["drawn"] | DRAWN})
    for name in methods:
        write(root / "methods" / f"{name}.yaml", tiny_method(name))


def tiny_method(name: str) -> Mapping:
    """A shipped method, flattened, with very little to compute in its drawn regime."""
    spec = flatten(name, shipped().raw_methods, shipped().bases)
    section = spec["regimes"]["drawn"]
    if section["compute"]["epochs"]:
        section = merge(section, {"compute": COMPUTE})
    if "labels" in section["params"]:
        parts = {name: part for name, part in section["params"]["labels"].items() if isinstance(part, dict)}
        labels = {socket: part | PARTS[part["kind"]] for socket, part in parts.items()}
        section = merge(section, {"params": {"labels": labels}})
    if "parts" in spec["params"]:
        section = merge(section, {"params": {"parts": ROWS}})
    spec = {key: value for key, value in spec.items() if key not in ("extends", "reported")}
    return spec | {"regimes": {"drawn": {key: value for key, value in section.items() if key != "targets"}}}


def silent(line: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Tiny:
    """A tiny project."""

    registry: Registry

    @classmethod
    def at(cls, root: Path) -> Tiny:
        return cls(Registry.load(root).checked())

    @property
    def root(self) -> Path:
        return self.registry.root

    def pairing(self, method: str, seed: int = 0) -> Pairing:
        """The method on its one task here."""
        needs_source = self.registry.method(method).setting in ("uda", "direct")
        return Pairing(method, SOURCE if needs_source else None, TARGET, seed)

    def trained(self, pairing: Pairing) -> Path:
        """Train `pairing`, and before it what it starts from, where that is not done yet; return the run's folder."""
        folder = run_folder(self.root, pairing.key)
        if not (folder / "record.json").exists():
            for start in self.registry.init_pairings(pairing):
                self.trained(start)
            train(self.registry, pairing, silent)
        return folder

    def fresh(self, root: Path, pairing: Pairing) -> Tiny:
        """A project at `root` with the same specs and data, where all but `pairing` itself has been trained."""
        root.mkdir(parents=True)
        for shared in ("datasets", "methods", "data"):
            (root / shared).symlink_to(self.root / shared)
        for start in self.registry.init_pairings(pairing):
            shutil.copytree(self.trained(start), run_folder(root, start.key), dirs_exist_ok=True)
        return Tiny(replace(self.registry, root=root))


def draw(root: Path) -> None:
    """Draw and prepare every dataset of the project at `root`."""
    for name, spec in Registry.load(root).checked().datasets.items():
        assert spec.drawn is not None
        draw_dataset(spec.drawn, raw_folder(root, name))
        prepare(spec, raw_folder(root, name), prepared_folder(root, name), workers=1)


def weights(folder: Path) -> dict[str, Tensor]:
    return read_tensors(folder / "checkpoint.safetensors")[0]


def same_weights(a: Path, b: Path) -> bool:
    """Whether two runs ended in the same bits."""
    first, second = weights(a), weights(b)
    return first.keys() == second.keys() and all(first[name].equal(second[name]) for name in first)


def history(folder: Path) -> list[dict[str, str]]:
    """What every epoch left behind, without what a clock said."""
    with (folder / "history.csv").open(newline="", encoding="utf-8") as file:
        return [{name: row[name] for name in row if name not in TIMINGS} for row in csv.DictReader(file)]


def interrupt_in_epoch(epoch: int) -> Any:
    """Something to call with every line of progress, which stops the run when epoch `epoch` is over but not saved."""

    def say(line: str) -> None:
        if f"epoch {epoch}/" in line:
            raise KeyboardInterrupt

    return say


def files_below(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())
