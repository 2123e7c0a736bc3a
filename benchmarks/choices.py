"""What DKD-MPL's abstract leaves open, chosen on calibration draws: other identities and cameras than any published.

Its text and code are not public, so anchor, direction, temperature, weights and the teacher of global distillation are
free. Each is varied alone, around a base, and judged against Cluster Contrast by the test of methods, over seeds and
identities. What the spec ships is then compared once more on a fresh draw, on which nothing was chosen. `full` writes
`docs/choices.md`; runs that an interrupted one has finished are kept in `results/work/choices`.
"""

from __future__ import annotations

import importlib
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from inspect import getsource
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.measure import Outcome
from harness import learning
from harness.data.prepare import prepare
from harness.data.prepared import Prepared, open_prepared
from harness.drawn.dataset import draw_dataset
from harness.learning.algorithm import Algorithm, RunContext
from harness.learning.data import LabeledSet, UnlabeledSet
from harness.learning.loop import run_epochs
from harness.learning.state import RunState, sha256
from harness.paths import replacing
from harness.pipeline.code import code_hash
from harness.pipeline.training.evaluator import Evaluator
from harness.specs import Pairing, Registry
from harness.specs.method import ResolvedMethod
from harness.specs.resolve import fingerprint
from harness.statistics.basics import holm, spread
from harness.statistics.methods import RunComparison, compare_runs, verdict
from harness.tables.text import signed
from harness.tables.verdicts import probability
from methods.cluster_contrast import ClusterContrast
from methods.dkd_mpl import DKDMPL

if TYPE_CHECKING:
    from torch import Tensor

    from harness.learning.data import UnlabeledBatch
    from harness.learning.networks import Embedding


@dataclass(frozen=True)
class Scale:
    """Seeds on each draw; identities to train on and to look for, epochs of start and runs (None: the specs')."""

    seeds: int
    fresh_seeds: int
    identities: int | None = None
    start_epochs: int | None = None
    epochs: int | None = None


SIZES = {"small": Scale(2, 2, 80, 8, 1), "full": Scale(3, 5)}
TARGET, START = "drawn-summer", "drawn-generic"
REFERENCE, METHOD = "cluster-contrast", "dkd-mpl"
CALIBRATION, FRESH = 104, 105
"""Seeds of the drawn worlds: the published one is 1, and no other work used these."""
KEPT = Path("results/work/choices")
DOCS = Path("docs")


class Variant(DKDMPL):
    """DKD-MPL with what else its abstract could mean."""

    class Params(DKDMPL.Params):
        anchor: Literal["random", "hardest", "augmented", "prototype"]
        direction: Literal["anchor teaches", "query teaches", "both"]
        teacher: Literal["epoch", "memory"]

    params: Params

    def begin_epoch(self, epoch: int) -> Iterator[UnlabeledBatch]:
        batches = super().begin_epoch(epoch)
        self.anchor_rng = self.run.rng("anchor", epoch)
        if self.params.anchor != "augmented":
            return batches
        run, compute, target = self.run, self.run.compute, self.run.unlabeled
        labels, shape = self.labels.cpu().numpy(), compute.batch
        indices = learning.sampler.pk_batches(
            labels, target.cameras, shape.identities, shape.instances, run.rng("sample", epoch)
        )
        return target.batches(indices, compute.iterations, compute.augment, run.view_rngs(epoch, 2))

    def loss(self, batch: UnlabeledBatch, features: Tensor, labels: Tensor) -> dict[str, Tensor]:
        losses, params = ClusterContrast.loss(self, batch, features, labels), self.params
        query, temperature = self.logits(features), params.distillation_temperature
        if params.gkd_weight:
            centroids = self.epoch_centroids if params.teacher == "epoch" else self.memory
            teacher = self.features[batch.index] @ centroids.T / params.temperature
            losses["gkd"] = learning.losses.distillation(query, teacher, temperature)
            losses["total"] = losses["total"] + params.gkd_weight * losses["gkd"]
        if params.skd_weight:
            anchors = self.logits(self._anchors_of(batch, features, labels))
            learned = {
                "anchor teaches": lambda: learning.losses.distillation(query, anchors, temperature),
                "query teaches": lambda: learning.losses.distillation(anchors, query, temperature),
            }
            chosen = [*learned] if params.direction == "both" else [params.direction]
            losses["skd"] = torch.stack([learned[direction]() for direction in chosen]).mean()
            losses["total"] = losses["total"] + params.skd_weight * losses["skd"]
        return losses

    def _anchors_of(self, batch: UnlabeledBatch, features: Tensor, labels: Tensor) -> Tensor:
        """What stands for each image's cluster: float32 [B, d]."""
        match self.params.anchor:
            case "prototype":
                return self.memory[labels]
            case "hardest":
                similarity = (features @ features.T).masked_fill(labels[:, None] != labels, float("inf"))
                return features[similarity.argmin(1)]
            case "augmented":
                with torch.no_grad():
                    other: Embedding = self.network(batch.views[1])
                return other.normalized
        return features[random_positives(labels, self.anchor_rng)]


def random_positives(labels: Tensor, rng: np.random.Generator) -> Tensor:
    """Return for each image of a batch another image with the same label, at random: positions [B] on its device.

    An image alone with its label gets itself.
    """
    grouped, order = labels.sort(stable=True)
    first = torch.searchsorted(grouped, grouped)
    size = torch.searchsorted(grouped, grouped, right=True) - first
    drawn = learning.device.to_device(rng.random(len(labels)), labels.device)
    step = 1 + (drawn * (size - 1).clamp(min=1)).floor().long()
    place = torch.arange(len(labels), device=labels.device) - first
    return torch.empty_like(order).scatter_(0, order, order[first + (place + step) % size])


BASE: dict[str, Any] = {
    "anchor": "random", "direction": "anchor teaches", "teacher": "epoch",
    "distillation_temperature": 4, "gkd_weight": 0.25, "skd_weight": 0.25,
}  # fmt: skip
VARIANTS: dict[str, dict[str, Any]] = {
    "base": {},
    "anchor: hardest of the cluster in the batch": {"anchor": "hardest"},
    "anchor: another augmentation of the image": {"anchor": "augmented"},
    "anchor: the cluster's prototype": {"anchor": "prototype"},
    "direction: the query teaches the anchor": {"direction": "query teaches"},
    "direction: both": {"direction": "both"},
    "temperature 1": {"distillation_temperature": 1},
    "temperature 2": {"distillation_temperature": 2},
    "weights 0.1": {"gkd_weight": 0.1, "skd_weight": 0.1},
    "weights 1": {"gkd_weight": 1, "skd_weight": 1},
    "teacher of GKD: the memory": {"teacher": "memory"},
}
"""What each row changes of the base."""
SHIPPED = "anchor: the cluster's prototype"
"""The row that the spec ships: the best of those that beat Cluster Contrast beyond chance on the calibration draw."""


@dataclass(frozen=True)
class World:
    """A drawn target of a seed, the identity of each of its queries, and the start that all runs share."""

    target: Prepared
    start: Mapping[str, Tensor]

    @property
    def identities(self) -> NDArray[np.int64]:
        return self.target.split("query").ids


@dataclass(frozen=True)
class Row:
    """A variant's AP, [seeds, queries] in percent, and CPU seconds a run."""

    name: str
    ap: NDArray[np.float64]
    cpu_seconds: float


@dataclass(frozen=True)
class Table:
    """All rows on one draw: Cluster Contrast, the base, and other variants; the identity of each query."""

    identities: NDArray[np.int64]
    rows: list[Row]

    def against(self, reference: int) -> Iterator[tuple[Row, RunComparison, float]]:
        """Yield every other row but Cluster Contrast's with its comparison with that row, and p after Holm."""
        others = [row for place, row in enumerate(self.rows) if place not in (0, reference)]
        compared = [compare_runs(row.ap, self.rows[reference].ap, self.identities) for row in others]
        yield from zip(others, compared, holm([found.p_value for found in compared]).tolist(), strict=True)

    def better_than(self, reference: int) -> list[str]:
        """The rows that are better than that one beyond chance."""
        return [row.name for row, found, p in self.against(reference) if verdict(found.difference, p) == "better"]


def run(size: str, repeats: int, with_reference: bool) -> Iterator[Outcome]:
    """Yield a row of the table at a time; at size `full`, write the page after each."""
    with tempfile.TemporaryDirectory() as folder:
        yield from Trial(Registry.load(Path(__file__).parents[1]).checked(), SIZES[size], Path(folder)).outcomes(
            write=size == "full"
        )


class Trial:
    """All runs of the choice: they share the start, the draws, and what the specs say."""

    def __init__(self, registry: Registry, scale: Scale, folder: Path) -> None:
        self.registry, self.scale, self.folder, self.device = registry, scale, folder, torch.device("cpu")

    def outcomes(self, write: bool) -> Iterator[Outcome]:
        """Yield what each row found, on the calibration draw and then on the fresh one."""
        tables: dict[int, Table] = {}
        chosen = {name: VARIANTS[name] for name in ("base", SHIPPED)}
        draws = ((CALIBRATION, VARIANTS, self.scale.seeds), (FRESH, chosen, self.scale.fresh_seeds))
        for seed, variants, seeds in draws:
            world = self.world(seed)
            table = tables[seed] = Table(world.identities, [])
            for name, changes in ({self.registry.methods[REFERENCE].title: None} | variants).items():
                table.rows.append(Row(name, *self._runs(world, changes, seeds)))
                yield outcome(table.rows[-1], seed)
        if write:
            (DOCS / "choices.md").write_text(page(tables, self.scale), encoding="utf-8")

    def world(self, seed: int) -> World:
        """Draw the target of a seed."""
        return World(self._drawn(TARGET, seed), self.start)

    def _runs(self, world: World, changes: Mapping[str, Any] | None, seeds: int) -> tuple[NDArray[np.float64], float]:
        """The AP of every query by every seed's last epoch, [seeds, queries] in percent, and CPU seconds a run.

        `changes` None: Cluster Contrast.
        """
        found = [self.one(world, changes, seed) for seed in range(seeds)]
        return 100 * np.stack([ap for ap, _ in found]), float(np.mean([seconds for _, seconds in found]))

    def one(self, world: World, changes: Mapping[str, Any] | None, seed: int) -> tuple[NDArray[np.float64], float]:
        """The AP of every query by the last epoch of one run, and its CPU seconds: computed, or read if it was kept."""
        method = self._resolved(REFERENCE if changes is None else METHOD, TARGET, self.scale.epochs)
        params = method.params if changes is None else {**method.params, **BASE, **changes}
        made_of = [method.model_dump(mode="json"), params, seed, world.target.data_hash, self.start_hash]
        path = KEPT / f"{fingerprint([*made_of, code_hash(method), getsource(Variant)])}.npz"
        if not path.exists():
            begun = time.process_time()
            train = world.target.split("train")
            context = RunContext(
                method.compute, seed, self.device, RunState(),
                target=UnlabeledSet(train.images, train.cameras, self.device), init=(world.start,),
            )  # fmt: skip
            kind: type[Algorithm] = ClusterContrast if changes is None else Variant
            algorithm = kind(context, kind.Params.model_validate(params))
            run_epochs(algorithm, lambda done: None)
            embed = algorithm.embedder(method.compute, algorithm.export(), self.device)
            ap = Evaluator(world.target, self.device).scores(embed).ap
            with replacing(path) as partial, partial.open("wb") as file:
                np.savez(file, ap=ap, seconds=time.process_time() - begun)
        with np.load(path) as kept:
            return kept["ap"], float(kept["seconds"])

    @cached_property
    def start_hash(self) -> str:
        """Hash of the weights that all runs start from."""
        return sha256(self.start, {})

    @cached_property
    def start(self) -> Mapping[str, Tensor]:
        """Train the generic start on its own drawn domain."""
        train = self._drawn(START, None).split("train")
        method = self._resolved("generic", START, self.scale.start_epochs)
        module, name = method.algorithm.split(":")
        algorithm: type[Algorithm] = getattr(importlib.import_module(module), name)
        labeled = LabeledSet(train.images, train.cameras, train.ids, self.device)
        context = RunContext(method.compute, 0, self.device, RunState(), source=labeled)
        made = algorithm(context, algorithm.Params.model_validate(method.params))
        run_epochs(made, lambda done: None)
        return {name: tensor.clone() for name, tensor in made.export().items()}

    def _resolved(self, name: str, target: str, epochs: int | None) -> ResolvedMethod:
        method = self.registry.resolved(Pairing(name, None, target, 0))
        if epochs is None:
            return method
        return method.model_copy(update={"compute": method.compute.model_copy(update={"epochs": epochs})})

    def _drawn(self, name: str, seed: int | None) -> Prepared:
        """Draw and prepare a dataset, of another seed if one is given, as the pipeline does."""
        spec = self.registry.dataset(name)
        assert spec.drawn is not None
        drawn, few = spec.drawn, self.scale.identities
        if few is not None:
            parts = {part: getattr(drawn, part).model_copy(update={"identities": few}) for part in ("train", "test")}
            drawn = drawn.model_copy(update={**parts, "distractors": 0, "junk": 0})
        drawn = drawn.model_copy(update={"seed": drawn.seed if seed is None else seed})
        spec = spec.model_copy(update={"drawn": drawn, "expect": None})
        raw, prepared = (self.folder / f"{name}-{seed}" / part for part in ("raw", "prepared"))
        draw_dataset(drawn, raw)
        prepare(spec, raw, prepared, workers=1)
        return open_prepared(prepared)


def outcome(row: Row, seed: int) -> Outcome:
    """Return a row as a benchmark prints it."""
    said = f"mAP {np.nanmean(row.ap):.1f}"
    return Outcome(f"choices {row.name}", f"draw {seed}", row.cpu_seconds, 0.0, agreement=said)


PAGE = """\
# What DKD-MPL leaves open

Written by `python -m benchmarks choices --size full`; not edited by hand.

Neither the text nor the code of DKD-MPL is public; its abstract defines the two distillations in one sentence each.
What it leaves open was chosen on a calibration draw of drawn-summer (seed {calibration}; the published one is of seed
1): other identities, clothes and cameras. Each row changes one thing of the *base*: a random image of the same cluster
in the batch is the anchor and teaches the query, temperature {distillation_temperature:g}, weights {gkd_weight:g} (GKD)
and {skd_weight:g} (SKD), and GKD's teacher are the centroids of the epoch's clustering.
{seeds} seeds a row, {iterations} iterations a run, differences in points of mAP on the same draw, with 95 % intervals
over seeds and identities ([how methods are compared](statistics.md)); p after Holm for the rows of the table. The best
of those that beat Cluster Contrast beyond chance is what the spec is to ship; with none, the base.

{table}
{verdict} Better than the base, beyond chance: {better}. What `methods/dkd-mpl.yaml` ships: {shipped}.

## On a fresh draw

Nothing was chosen on this draw (seed {fresh}), so its figures are not the luckiest of several. {fresh_seeds} seeds a
row.

{fresh_table}
{fresh_verdict}
"""


def page(tables: Mapping[int, Table], scale: Scale) -> str:
    """Return what was found in Markdown."""
    compute = Registry.load(Path(__file__).parents[1]).resolved(Pairing(METHOD, None, TARGET, 0)).compute
    chosen_on, fresh = tables[CALIBRATION], tables[FRESH]
    return PAGE.format(
        calibration=CALIBRATION, fresh=FRESH, seeds=scale.seeds, fresh_seeds=scale.fresh_seeds, shipped=SHIPPED,
        iterations=compute.epochs * compute.iterations, table=markdown(chosen_on), fresh_table=markdown(fresh),
        better="; ".join(chosen_on.better_than(1)) or "none", verdict=beyond_chance(chosen_on),
        fresh_verdict=beyond_chance(fresh), **BASE,
    )  # fmt: skip


def markdown(table: Table) -> str:
    """Return a table in Markdown: every row against Cluster Contrast and against the base."""
    header = ["what", "mAP", "±", "to Cluster Contrast", "p (Holm)", "to the base", "p (Holm)", "CPU s a run"]
    cells = {row.name: [row.name, *_spread(row), "", "", "", "", f"{row.cpu_seconds:.0f}"] for row in table.rows}
    for reference, first in ((0, 3), (1, 5)):
        for row, found, p in table.against(reference):
            difference = f"{signed(found.difference)} ({signed(found.low)} … {signed(found.high)})"
            cells[row.name][first : first + 2] = [difference, probability(p)]
    lines = [header, [":---", "---:", "---:", "---:", "---:", "---:", "---:", "---:"], *cells.values()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _spread(row: Row) -> list[str]:
    """Mean and standard deviation of the mAP over the seeds."""
    over = spread(np.nanmean(row.ap, axis=1).tolist())
    return [f"{over.mean:.1f}", f"{over.std:.1f}"]


def beyond_chance(table: Table) -> str:
    """Return what the rows say together of Cluster Contrast."""
    better = table.better_than(0)
    if not better:
        return "Nothing here beats Cluster Contrast beyond chance."
    return f"Better than Cluster Contrast, beyond chance: {'; '.join(better)}."
