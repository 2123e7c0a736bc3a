"""What a method is: an algorithm with its hyper-parameters, for each regime that it supports."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, NonNegativeInt, Tag, model_validator

from harness.learning.normalization import Channels
from harness.specs.base import Frozen, Slug
from harness.specs.compute import Compute
from harness.specs.dataset import RegimeName
from harness.specs.layout import RelativePath
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

    method: Slug = Field(description="method whose runs are started from")
    dataset: Slug | None = Field(default=None, description="what they were trained on; none: the pairing's source")
    seeds: tuple[NonNegativeInt, ...] = Field(default=(), description="their seeds, as given")
    seed_offsets: tuple[NonNegativeInt, ...] = Field(default=(), description="their seeds, relative to the run's own")

    @model_validator(mode="after")
    def _one_kind_of_seeds(self) -> InitRun:
        if bool(self.seeds) == bool(self.seed_offsets):
            raise ValueError("give either `seeds` (as they are) or `seed_offsets` (added to the run's seed)")
        return self

    def seeds_for(self, seed: int) -> tuple[int, ...]:
        """The seeds of the runs that a run with `seed` starts from."""
        return self.seeds or tuple(seed + offset for offset in self.seed_offsets)


class InitFile(Frozen):
    """A start from a file of weights, such as a LUPerson checkpoint: a backbone's tensors as its family names them."""

    file: RelativePath = Field(description="below the project's folder, for example data/weights/lup.pth")
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="of the file: other content is refused")
    mean: Channels | None = Field(
        default=None, description="of red, green, blue in [0, 1], as these weights expect it; absent: the backbone's"
    )
    std: Channels | None = Field(default=None, description="standard deviation; stated with `mean` or not at all")

    @model_validator(mode="after")
    def _both(self) -> InitFile:
        if (self.mean is None) != (self.std is None):
            raise ValueError("give both `mean` and `std`, or neither")
        return self


def _init_tag(value: object) -> str:
    """Which of the forms `value` has, so that a mistake in one is not also called a mistake in the others."""
    if isinstance(value, InitFile) or (isinstance(value, dict) and "file" in value):
        return "File"
    return "Run" if isinstance(value, dict | InitRun) else "Weights"


Init = Annotated[
    Annotated[Literal["imagenet", "pretrained", "random"], Tag("Weights")]
    | Annotated[InitRun, Tag("Run")]
    | Annotated[InitFile, Tag("File")],
    Discriminator(_init_tag),
]


class Adjustment(Frozen):
    """What one target changes within a regime; merged over the regime's own values."""

    compute: dict[str, Any] = Field(default={}, description="keys of `compute` that differ on this target")
    params: dict[str, Any] = Field(default={}, description="keys of `params` that differ on this target")


class RegimeSection(Frozen):
    """One regime of a method. `compute` is complete; `params` holds only what differs from the method's `params`."""

    init: Init
    compute: Compute
    params: dict[str, Any] = Field(default={}, description="keys of `params` that differ in this regime")
    targets: dict[Slug, Adjustment] = {}


class MethodSpec(Frozen):
    """A method as its YAML file states it, after `extends`. `params` is validated by the algorithm's own model."""

    name: Slug = Field(description="the file's name without `.yaml`; part of every run's key")
    title: str = Field(description="what tables and pages call it")
    description: str = Field(description="its idea in one or two sentences")
    extends: Slug | None = Field(default=None, description="method whose keys apply where this one states none")
    role: Literal["method", "ablation", "canary", "init"] = Field(
        description="`init`: only trained as a start for others; `canary`: a floor that no method may fall to"
    )
    starter: bool = Field(description="whether `make` runs it")
    judged_against: tuple[Slug, ...] = Field(
        default=(), description="the methods that it has to beat; the report compares them"
    )
    setting: Setting = Field(
        description="`supervised`: labeled target; `direct`: labeled source, evaluated on the target unchanged; `uda`: "
        "labeled source and unlabeled target; `usl`: unlabeled target only"
    )
    needs_cameras: bool = Field(
        default=False, description="whether it is nothing without the camera of every training image of the target"
    )
    algorithm: Annotated[str, AfterValidator(_check_import_path)] = Field(description="`package.module:Class`")
    params: dict[str, Any] = Field(description="hyper-parameters of the algorithm")
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
