"""All that is promised of a GPU, measured on the one at hand: a table with the card's name in `docs/performance.md`.

Without a GPU it says so, and tells what can be counted: what the backbone's pass over a published batch launches and
moves, from its shapes; and what the host does in an iteration of every kind of method, on the tests' pretend GPU.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks import epoch, evaluate, jaccard, methods, peers, training
from benchmarks.measure import Outcome
from benchmarks.page import write_section
from harness.learning.device import choose_device
from harness.learning.networks import build
from harness.specs import Registry

SIZES = {"small": 20, "large": 50}
"""Iterations."""
PROJECT = Path(__file__).parents[1]
MARKET_IDENTITIES = 1_080
"""Of the drawn training set, which give it some 13,000 images, as many as Market-1501 has."""
RANKED = (11_659, 82_161)
CLUSTERED = (131_072, 1_000_000)
SCHEDULES = {"cluster-contrast": None, "mmt": 1, "sskd": 1, "spcl": 1}
"""Published schedules by method: whole, or so many epochs of them, and the rest reckoned."""
MEASURED, COUNTED = "On a GPU", "What a GPU is asked to do"
VIEWS = {"view", "_unsafe_view", "alias", "expand", "permute", "t", "slice", "split", "split_with_sizes", "detach"}


def run(size: str, repeats: int, with_reference: bool) -> Iterator[Outcome]:
    """Yield what is measured on the GPU, or counted without one; both write their section of the page."""
    device = choose_device()
    on_gpu = device.type == "cuda"
    outcomes = []
    for outcome in measured(device, SIZES[size], repeats, with_reference) if on_gpu else counted():
        outcomes.append(outcome)
        yield outcome
    if on_gpu:
        write_section(MEASURED, measured_section(torch.cuda.get_device_name(device), outcomes))
    else:
        write_section(COUNTED, counted_section(outcomes))


# --- with a GPU -------------------------------------------------------------------------------------------------------


def measured(device: torch.device, iterations: int, repeats: int, with_reference: bool) -> Iterator[Outcome]:
    """Yield the step, the epoch's phases, rankings, clusterings and published schedules on `device`."""
    for groups in (1, 4):
        network = training.GPU.network.model_copy(update={"bn_groups": groups})
        setting = replace(training.GPU, network=network, workers=os.cpu_count() or 1)
        found = training.outcome(setting, device, iterations, repeats, with_reference and groups == 4)
        yield replace(found, benchmark=f"{found.benchmark}, bn_groups {groups}")
    yield from training.compiled(training.GPU, device, iterations)
    yield peers.outcome(training.GPU.network, device, iterations, repeats, with_reference)
    yield from epoch.outcomes(training.GPU, device, epoch.MARKET, iterations, repeats)
    yield evaluate.on_gpu(*RANKED, device, repeats)
    for n in CLUSTERED:
        yield from jaccard.on_gpu(n, device)
    yield from schedules(device)


def schedules(device: torch.device) -> Iterator[Outcome]:
    """Yield the time of published schedules at 256×128 on a drawn set of Market-1501's size."""
    scale = methods.Scale(256, 128, MARKET_IDENTITIES, 1, 50, {})
    trial = methods.Trial(Registry.load(PROJECT).checked(), device, scale)
    for name, epochs in SCHEDULES.items():
        yield trial.schedule(name, epochs)


def measured_section(card: str, outcomes: list[Outcome]) -> str:
    """Return the table of a card."""
    lines = [
        "Written by `python -m benchmarks gpu`; not edited by hand.",
        "",
        f"Card: {card}. torch {torch.__version__}. Memory is the most that tensors held, in GiB.",
        "",
        "| work | size | seconds | GiB | times the limit | times faster than the reference | |",
        "| --- | --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for one in outcomes:
        over, ratio = (f"{value:.2f}" if value else "" for value in (one.over_limit, one.ratio))
        seconds, gib = f"{one.ours_s:.3f}", f"{one.extra_gib:.2f}"
        lines.append(f"| {one.benchmark} | {one.size} | {seconds} | {gib} | {over} | {ratio} | {one.agreement} |")
    return "\n".join(lines)


# --- without one ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pass:
    """Of one forward and backward pass: kernels launched, and GB that convolutions and all else read and write."""

    launches: int
    convolutions: float
    others: float

    def __str__(self) -> str:
        return f"{self.launches:,} launches, {self.convolutions:.0f} GB by convolutions, {self.others:.0f} GB by others"


class _Traffic(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.launches, self.convolutions, self.others = 0, 0, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name not in VIEWS:
            moved = sum(
                x.numel() * x.element_size() for x in tree_leaves((args, kwargs, result)) if isinstance(x, torch.Tensor)
            )
            self.launches += 1
            if "convolution" in name:
                self.convolutions += moved
            else:
                self.others += moved
        return result


def backbone_pass(groups: int, batch: int = 256, height: int = 256, width: int = 128) -> Pass:
    """Count ResNet-50's forward and backward pass in bf16, from shapes alone: nothing is computed."""
    spec = training.GPU.network.model_copy(update={"bn_groups": groups})
    network = build(spec, 0, torch.device("cpu")).backbone.to("meta").bfloat16()
    images = torch.empty(batch, 3, height, width, device="meta", dtype=torch.bfloat16)
    with _Traffic() as traffic:
        network(images.contiguous(memory_format=torch.channels_last)).sum().backward()
    return Pass(traffic.launches, traffic.convolutions / 1e9, traffic.others / 1e9)


def counted() -> Iterator[Outcome]:
    """Yield what the backbone's pass and the methods' iterations ask of a GPU."""
    from tests.pipeline.tiny import Tiny, draw, drawn_methods, write_specs
    from tests.pretend.counting import MOST
    from tests.pretend.counting import counted as of_method

    for groups in (1, 4):
        begun = time.perf_counter()
        found = backbone_pass(groups)
        yield _count(f"resnet50 pass, bn_groups {groups}", "256 images of 256×128", begun, str(found))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "project"
        write_specs(root, drawn_methods())
        (root / "dvc.yaml").touch()
        draw(root)
        for name in MOST:
            begun = time.perf_counter()
            found_there = of_method(Tiny.at(root), name, Path(folder))
            yield _count(f"an iteration of {name}", "8 images of 32×16", begun, str(found_there))


def _count(what: str, size: str, begun: float, found: str) -> Outcome:
    return Outcome(what, size, time.perf_counter() - begun, 0, agreement=f"no GPU: counted, not measured: {found}")


def counted_section(outcomes: list[Outcome]) -> str:
    """Return the table of what was counted."""
    lines = [
        "Written by `python -m benchmarks gpu` where no GPU was at hand; not edited by hand. Nothing here is a time:",
        "passes are counted from shapes, iterations on the pretend GPU of the tests, which keep them",
        "from rising.",
        "",
        "| work | size | counted |",
        "| --- | --- | --- |",
    ]
    lines += [f"| {one.benchmark} | {one.size} | {one.agreement.rpartition('measured: ')[2]} |" for one in outcomes]
    return "\n".join(lines)
