"""Hyper-parameters of losses that several methods share."""

from __future__ import annotations

from pydantic import Field

from harness.specs.base import Frozen


class MultiSimilarity(Frozen):
    """Hyper-parameters of the multi-similarity loss (Wang et al., CVPR 2019)."""

    weight: float = Field(ge=0)
    threshold: float = Field(description="λ, on cosine similarity")
    margin: float = Field(ge=0, description="ε of pair mining")
    scale_positive: float = Field(gt=0, description="α")
    scale_negative: float = Field(gt=0, description="β")
