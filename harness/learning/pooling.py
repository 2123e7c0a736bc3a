"""The poolings, by kind: from a backbone's map to one feature per image. Their modules are in `networks.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from harness.specs.base import Frozen

if TYPE_CHECKING:
    from torch import nn


class Average(Frozen):
    """Mean over the map."""

    kind: Literal["average"]
    takes: ClassVar[Literal["map", "tokens"]] = "map"

    def build(self) -> nn.Module:
        """Return the module: [B, d, h, w] -> [B, d]."""
        from harness.learning.networks import AveragePool

        return AveragePool()


class GeM(Frozen):
    """Generalized mean with a learned exponent, from 3 (Radenović et al., TPAMI 2019)."""

    kind: Literal["gem"]
    takes: ClassVar[Literal["map", "tokens"]] = "map"

    def build(self) -> nn.Module:
        """Return the module: [B, d, h, w] -> [B, d]."""
        from harness.learning.networks import GeMPool

        return GeMPool()


class Token(Frozen):
    """The class token of a transformer, as the field uses ViTs (He et al., TransReID, ICCV 2021)."""

    kind: Literal["token"]
    takes: ClassVar[Literal["map", "tokens"]] = "tokens"

    def build(self) -> nn.Module:
        """Return the module: [B, 1 + h·w, d] -> [B, d]."""
        from harness.learning.networks import TokenPool

        return TokenPool()


Pooling = Annotated[Average | GeM | Token, Field(discriminator="kind")]
