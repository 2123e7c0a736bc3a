"""Figures quoted from publications, and the publications themselves."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from harness.specs.base import Frozen, Slug
from harness.specs.dataset import RegimeName

Percent = float | None


class Choice(Frozen):
    """A detail that the paper leaves open, what we chose, and why."""

    what: str
    chosen: str
    reason: str


class Paper(Frozen):
    """The publication a method comes from, and how closely the spec follows it."""

    title: str
    authors: tuple[str, ...]
    year: int = Field(ge=1990, le=2100)
    venue: str
    doi: str = ""
    arxiv: str = ""
    url: str = ""
    fidelity: Literal["faithful", "reconstructed"]
    notes: str = ""
    choices: tuple[Choice, ...] = ()
    bibtex: str = ""


class Reported(Frozen):
    """One figure of a publication: percent, single query, no re-ranking. `source` is a dataset, absent for usl."""

    target: Slug
    source: Slug | None = None
    regime: RegimeName = "paper"
    map: Percent = Field(default=None, ge=0, le=100)
    rank1: Percent = Field(default=None, ge=0, le=100)
    rank5: Percent = Field(default=None, ge=0, le=100)
    rank10: Percent = Field(default=None, ge=0, le=100)
    quoted_from: str = Field(description="where the figure was read")
    verified: bool = Field(description="whether the figure was seen in that place")
    note: str = ""


class ReportedMethod(Frozen):
    """A method that is only quoted, never run here (an entry of `reported.yaml`)."""

    name: Slug
    title: str
    setting: Literal["supervised", "direct", "uda", "usl"]
    note: str = ""
    reported: tuple[Reported, ...]
