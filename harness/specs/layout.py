"""How a dataset lies on disk: folders, list files or XML, and a pattern that reads identity and camera off a name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any, Self

import regex
from pydantic import AfterValidator, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from harness.inputs.patterns import Pattern
from harness.specs.base import Frozen

GROUPS = frozenset({"id", "camera", "frame"})


def _check_relative(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not path or path.startswith("/") or ".." in parts or "\\" in path:
        raise ValueError(f"{path!r} must be a path below the dataset's folder, written with '/'")
    return path


def _check_pattern(pattern: str) -> str:
    try:
        groups = Pattern(pattern).groups
    except regex.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
    if unknown := groups - GROUPS:
        raise ValueError(f"pattern: unknown group {sorted(unknown)[0]!r}; valid: camera, frame, id")
    return pattern


RelativePath = Annotated[str, AfterValidator(_check_relative)]


class ImageSet(Frozen):
    """The images of one split. A plain string in YAML means every image below that folder.

    Lines of a list file are `path` or `path identity`, paths relative to `folder`. An XML file holds elements with the
    attributes imageName, vehicleID and cameraID. Identity and camera come from the list's second column or the XML
    where they are given, else from the pattern; `harness data verify` reports where two of these disagree.
    """

    folder: RelativePath = Field(description="folder of the images, searched at any depth")
    lists: tuple[RelativePath, ...] = Field(default=(), description="only what these files name; empty: the folder")
    xml: RelativePath | None = Field(default=None, description="labels by image name")
    table: RelativePath | None = Field(
        default=None,
        description="CSV or Parquet that names the images: a column path and, if known, identity, camera, split",
    )
    only: str | None = Field(default=None, description="rows of the table whose column split says this; absent: all")

    @model_validator(mode="before")
    @classmethod
    def _from_string(cls, value: Any) -> Any:
        return {"folder": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.table and self.lists:
            raise ValueError("table: names the images, and so do lists; state one of them")
        if self.only is not None and self.table is None:
            raise ValueError("only: chooses rows of a table, and there is no table")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string"}, handler(core)]}


class Arrangement(Frozen):
    """One form in which a dataset is distributed."""

    name: str = Field(default="official", description="what people call this distribution")
    train: ImageSet
    query: ImageSet | None = Field(default=None, description="absent, with the gallery: nothing is evaluated")
    gallery: ImageSet | None = Field(default=None, description="absent, with the query: nothing is evaluated")
    unused: tuple[ImageSet, ...] = Field(default=(), description="images that may be there without being in a split")
    pattern: Annotated[str, AfterValidator(_check_pattern)] = Field(
        description="searched in the path below the split's folder; named groups id, camera and, if there is one, "
        "frame; without id the training images are unlabeled"
    )

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.query is None) != (self.gallery is None):
            raise ValueError("query and gallery belong together: state both, or neither")
        return self

    @property
    def splits(self) -> Mapping[str, ImageSet]:
        """The splits that there are, by name, in their fixed order."""
        stated = {"train": self.train, "query": self.query, "gallery": self.gallery}
        return {name: part for name, part in stated.items() if part}

    @property
    def states_ids(self) -> bool:
        """Whether training images can have an identity: by their names, a list or XML."""
        return "id" in Pattern(self.pattern).groups or bool(self.train.lists or self.train.xml or self.train.table)

    @property
    def states_cameras(self) -> bool:
        """Whether training images can have a camera: by their names, XML or a table."""
        return "camera" in Pattern(self.pattern).groups or bool(self.train.xml or self.train.table)

    @property
    def files(self) -> tuple[str, ...]:
        """Every folder and file that must exist where this arrangement is."""
        sets = self.splits.values()
        return tuple(
            sorted({path for part in sets for path in (part.folder, *part.lists, part.xml, part.table) if path})
        )


class GroundTruth(Frozen):
    """Published relevance files: per query one line of positions, from 1, in the list of gallery names."""

    queries: RelativePath = Field(description="list of query names")
    gallery: RelativePath = Field(description="list of gallery names")
    good: RelativePath = Field(description="positions of each query's right answers")
    junk: RelativePath = Field(description="positions of what is removed for each query")


class Layout(Arrangement):
    """How the dataset lies on disk, in the official arrangement or in one of its alternatives.

    A pattern without the group `camera` means a dataset without camera labels: then no gallery image is removed for
    sharing a query's camera, so a query must not also lie in the gallery.
    """

    alternatives: tuple[Arrangement, ...] = Field(default=(), description="recognized by their contents, in this order")
    cameras: tuple[int, int] | None = Field(default=None, description="first and last camera number")
    named_ids: bool = Field(default=False, description="identities are words, numbered in alphabetical order from 0")
    named_cameras: bool = Field(default=False, description="cameras are words, numbered in alphabetical order from 0")
    test_id_offset: int = Field(default=0, ge=0, description="added to query and gallery identities that restart at 0")
    ground_truth: GroundTruth | None = None

    @property
    def arrangements(self) -> tuple[Arrangement, ...]:
        """The official arrangement first, then the alternatives."""
        return (self, *self.alternatives)

    @model_validator(mode="after")
    def _consistent(self) -> Layout:
        if self.cameras and self.cameras[0] > self.cameras[1]:
            raise ValueError(f"cameras: the first, {self.cameras[0]}, is above the last, {self.cameras[1]}")
        return self
