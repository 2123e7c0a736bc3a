"""Figures quoted from publications, and the publications themselves."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from harness.specs.base import Frozen, Slug
from harness.specs.dataset import RegimeName

Percent = float | None


class Choice(Frozen):
    """A detail that the paper leaves open, what we chose, and why."""

    what: str = Field(description="the detail")
    chosen: str = Field(description="what is done here")
    reason: str = Field(description="why")


class Paper(Frozen):
    """The publication a method comes from, and how closely the spec follows it."""

    title: str = Field(description="title of the publication")
    authors: tuple[str, ...] = Field(description="full names, in order")
    year: int = Field(ge=1990, le=2100, description="year of publication")
    venue: str = Field(description="conference or journal")
    doi: str = Field(default="", description="DOI without an address")
    arxiv: str = Field(default="", description="arXiv number")
    url: str = Field(default="", description="address, where there is neither")
    fidelity: Literal["faithful", "reconstructed"] = Field(
        description="`faithful`: follows text and released code; `reconstructed`: from what of them is public"
    )
    notes: str = Field(default="", description="how the spec follows the publication")
    choices: tuple[Choice, ...] = ()
    bibtex: str = Field(default="", description="BibTeX entry")


class Reported(Frozen):
    """One figure of a publication: percent, single query, no re-ranking. `source` is a dataset, absent for usl."""

    target: Slug = Field(description="dataset that was evaluated on")
    source: Slug | None = Field(default=None, description="labeled dataset that was trained on; none for `usl`")
    regime: RegimeName = Field(default="paper", description="regime that the figure belongs to")
    map: Percent = Field(default=None, ge=0, le=100, description="mean average precision, percent")
    rank1: Percent = Field(default=None, ge=0, le=100, description="CMC at rank 1, percent")
    rank5: Percent = Field(default=None, ge=0, le=100, description="CMC at rank 5, percent")
    rank10: Percent = Field(default=None, ge=0, le=100, description="CMC at rank 10, percent")
    quoted_from: str = Field(description="where the figure was read")
    verified: bool = Field(description="whether the figure was seen in that place")
    selection: Literal["last", "best", "unknown"] = Field(
        default="unknown",
        description="which epoch the method's released code reports: the last, the best on the test set, or unknown",
    )
    note: str = Field(default="", description="how its setting differs from the others'")


class ReportedMethod(Frozen):
    """A method that is only quoted, never run here (an entry of `reported.yaml`)."""

    name: Slug
    title: str
    setting: Literal["supervised", "direct", "uda", "usl"]
    note: str = ""
    reported: tuple[Reported, ...]
