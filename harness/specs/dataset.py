"""What a dataset is: where its images lie, how names give identity and camera, and what the counts should be."""

from __future__ import annotations

from typing import Annotated, Literal

import regex
from pydantic import AfterValidator, Field, PositiveInt, ValidationInfo, field_validator

from harness.drawn.spec import DrawnSpec
from harness.inputs.patterns import Pattern
from harness.specs.base import Frozen, Slug
from harness.specs.layout import Layout, RelativePath

Kind = Literal["person", "vehicle", "other"]
RegimeName = Literal["paper", "drawn", "photo-cpu"]


def _check_session(pattern: str) -> str:
    try:
        groups = Pattern(pattern).groups
    except regex.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
    if groups != {"session"}:
        raise ValueError(f"{pattern!r} must have one named group, session: (?P<session>…)")
    return pattern


class ImageSize(Frozen):
    """The size, in pixels, to which `prepare` resizes every image of the dataset."""

    height: PositiveInt = Field(description="pixels")
    width: PositiveInt = Field(description="pixels")


class Counts(Frozen):
    """What one split must contain."""

    images: int = Field(ge=0, description="number of images")
    ids: int = Field(ge=0, description="number of identities; distractors are one, junk is none")
    cameras: int | None = Field(default=None, ge=0, description="absent: not published")


class Expect(Frozen):
    """Counts per split, as published; `harness data verify` compares them with what is on disk.

    `alternatives` names other published distributions of the same dataset (VeRi-776 has two training counts).
    """

    train: Counts
    query: Counts
    gallery: Counts
    alternatives: dict[str, dict[Literal["train", "query", "gallery"], Counts]] = Field(
        default={}, description="other published counts of some splits, by the distribution's name"
    )


class Access(Frozen):
    """How to obtain the dataset, and what its owners allow."""

    homepage: str = Field(description="where its owners publish it")
    license: str = Field(description="what its owners allow")
    note: str = Field(default="", description="what a user must know besides")
    withdrawn: str = Field(default="", description="when and why its owners withdrew it; empty: they did not")


class Evaluation(Frozen):
    """What other designs than the fixed query set need to know: `harness evaluate KEY --design …`."""

    multi_query: RelativePath | None = Field(
        default=None, description="folder of the images that stand for the queries together (Market-1501: gt_bbox)"
    )
    session: Annotated[str, AfterValidator(_check_session)] | None = Field(
        default=None, description="searched in an image's path; its group session names the session or track"
    )
    draws: PositiveInt = Field(default=10, description="how many random splits are averaged")
    gallery_images: PositiveInt = Field(default=1, description="images of each identity in the gallery of a split")


class DatasetSpec(Frozen):
    """A dataset of images in `train` / `query` / `gallery` splits, with identities and cameras or without."""

    name: Slug = Field(description="the file's name without `.yaml`; part of every run's key")
    title: str = Field(description="what tables and pages call it")
    extends: Slug | None = Field(default=None, description="dataset whose keys apply where this one states none")
    kind: Kind = Field(description="what the images show; labeled sources must show the same")
    regime: RegimeName = Field(description="which of a method's regimes its runs use")
    role: Literal["task", "init"] = Field(
        default="task", description="`init`: only used to pre-train a start, never evaluated as a task"
    )
    starter: bool = Field(description="whether `make` runs the starter methods on it")
    image: ImageSize
    layout: Layout
    drawn: DrawnSpec | None = Field(default=None, description="how to draw the images; absent for real datasets")
    junk_ids: tuple[int, ...] = Field(description="identities removed before scoring")
    distractor_ids: tuple[int, ...] = Field(description="identities that stay in the gallery and count as wrong")
    evaluation: Evaluation = Field(default=Evaluation(), description="what other designs need to know")
    sources: tuple[Slug, ...] = Field(description="labeled sources from which `uda` and `direct` methods are planned")
    expect: Expect | None = Field(default=None, description="published counts; absent: there are none to compare with")
    access: Access
    citation: str = Field(description="publication to cite")

    @field_validator("sources")
    @classmethod
    def _not_itself(cls, sources: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if info.data.get("name") in sources:
            raise ValueError("a dataset cannot be its own source")
        return sources

    @property
    def labeled(self) -> bool:
        """Whether training images have identities: supervised training, and training as a source, need them."""
        return self.layout.states_ids

    @property
    def cameras(self) -> int | None:
        """How many cameras the training images come from: 0 without camera labels, None if nobody says."""
        if not any(arrangement.states_cameras for arrangement in self.layout.arrangements):
            return 0
        return self.expect.train.cameras if self.expect else None

    @property
    def evaluated(self) -> bool:
        """Whether there are labeled query and gallery images, without which no mAP exists."""
        return self.layout.query is not None
