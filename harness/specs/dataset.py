"""What a dataset is: where its images lie, how names give identity and camera, and what the counts should be."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt, ValidationInfo, field_validator

from harness.drawn.spec import DrawnSpec
from harness.specs.base import Frozen, Slug
from harness.specs.layout import Layout

Kind = Literal["person", "vehicle"]
RegimeName = Literal["paper", "drawn"]


class ImageSize(Frozen):
    """The size, in pixels, to which `prepare` resizes every image of the dataset."""

    height: PositiveInt
    width: PositiveInt


class Counts(Frozen):
    """What one split must contain."""

    images: int = Field(ge=0)
    ids: int = Field(ge=0)
    cameras: int | None = Field(default=None, ge=0, description="absent: not published")


class Expect(Frozen):
    """Counts per split, as published; `harness data verify` compares them with what is on disk.

    `alternatives` names other published distributions of the same dataset (VeRi-776 has two training counts).
    """

    train: Counts
    query: Counts
    gallery: Counts
    alternatives: dict[str, dict[Literal["train", "query", "gallery"], Counts]] = {}


class Access(Frozen):
    """How to obtain the dataset, and what its owners allow."""

    homepage: str
    license: str
    note: str = ""
    withdrawn: str = ""


class DatasetSpec(Frozen):
    """A dataset of images with identities and cameras in `train` / `query` / `gallery` splits."""

    name: Slug
    title: str
    extends: Slug | None = None
    kind: Kind
    regime: RegimeName
    role: Literal["task", "init"] = Field(
        default="task", description="`init`: only used to pre-train a start, never evaluated as a task"
    )
    starter: bool = Field(description="whether `make` runs the starter methods on it")
    image: ImageSize
    layout: Layout
    drawn: DrawnSpec | None = Field(default=None, description="how to draw the images; absent for real datasets")
    junk_ids: tuple[int, ...] = Field(description="identities removed before scoring")
    distractor_ids: tuple[int, ...] = Field(description="identities that stay in the gallery and count as wrong")
    sources: tuple[Slug, ...] = Field(description="labeled sources from which `uda` and `direct` methods are planned")
    expect: Expect | None = Field(default=None, description="published counts; absent: there are none to compare with")
    access: Access
    citation: str

    @field_validator("sources")
    @classmethod
    def _not_itself(cls, sources: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if info.data.get("name") in sources:
            raise ValueError("a dataset cannot be its own source")
        return sources
