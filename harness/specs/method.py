"""What a method is: an algorithm with its hyper-parameters, for each regime that it supports."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, NonNegativeInt, Tag, model_validator

from harness.specs.base import Frozen, Slug
from harness.specs.compute import Compute
from harness.specs.dataset import RegimeName
from harness.specs.reported import Paper, Reported

Setting = Literal["supervised", "direct", "uda", "usl"]
IMPORT_PATH = re.compile(r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")


def _check_import_path(path: str) -> str:
    if not IMPORT_PATH.match(path):
        raise ValueError(f"{path!r} is not an import path: write 'package.module:Class'")
    return path


class InitRun(Frozen):
    """A start from finished runs of another method: on the pairing's source, or on `dataset` if one is named.

    `seeds` are taken as given (like published weights); `seed_offsets` are added to the run's own seed.
    """

    method: Slug
    dataset: Slug | None = None
    seeds: tuple[NonNegativeInt, ...] = ()
    seed_offsets: tuple[NonNegativeInt, ...] = ()

    @model_validator(mode="after")
    def _one_kind_of_seeds(self) -> InitRun:
        if bool(self.seeds) == bool(self.seed_offsets):
            raise ValueError("give either `seeds` (as they are) or `seed_offsets` (added to the run's seed)")
        return self

    def seeds_for(self, seed: int) -> tuple[int, ...]:
        """The seeds of the runs that a run with `seed` starts from."""
        return self.seeds or tuple(seed + offset for offset in self.seed_offsets)


def _init_tag(value: object) -> str:
    """Which of the two forms `value` has, so that a mistake in one is not also called a mistake in the other."""
    return "Run" if isinstance(value, dict | InitRun) else "Weights"


Init = Annotated[
    Annotated[Literal["imagenet", "random"], Tag("Weights")] | Annotated[InitRun, Tag("Run")], Discriminator(_init_tag)
]


class Adjustment(Frozen):
    """What one target changes within a regime; merged over the regime's own values."""

    compute: dict[str, Any] = {}
    params: dict[str, Any] = {}


class RegimeSection(Frozen):
    """One regime of a method. `compute` is complete; `params` holds only what differs from the method's `params`."""

    init: Init
    compute: Compute
    params: dict[str, Any] = {}
    targets: dict[Slug, Adjustment] = {}


class MethodSpec(Frozen):
    """A method as its YAML file states it, after `extends`. `params` is validated by the algorithm's own model."""

    name: Slug
    title: str
    description: str
    extends: Slug | None = None
    role: Literal["method", "ablation", "canary", "init"] = Field(
        description="`init`: only trained as a start for others; `canary`: a floor that no method may fall to"
    )
    starter: bool = Field(description="whether `make` runs it")
    judged_against: tuple[Slug, ...] = Field(
        default=(), description="the methods that it has to beat; the report compares them"
    )
    setting: Setting
    algorithm: Annotated[str, AfterValidator(_check_import_path)]
    params: dict[str, Any]
    regimes: dict[RegimeName, RegimeSection]
    paper: Paper | None = None
    reported: tuple[Reported, ...] = ()


class ResolvedMethod(Frozen):
    """A method as one pairing runs it: one regime, one target, hyper-parameters validated by the algorithm."""

    name: Slug
    setting: Setting
    algorithm: str
    init: Init
    compute: Compute
    params: dict[str, Any]
