"""Variants of the protocol, by name: other designs and test-time steps, `reid-v1+multi-query+rerank`.

The evaluator applies them, never a method. Their results are kept apart and never ranked among those of the plain
protocol.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from harness.errors import UserError
from harness.evaluation.protocol import PROTOCOL
from harness.specs.yamlfile import nearest

NONE = "none"


@dataclass(frozen=True)
class Part:
    """What a variant changes. `transductive`: a query's answer depends on the other test images."""

    help: str
    transductive: bool = False
    cameras: bool = False  # whether camera labels of the test images change the ranking


DESIGNS = {
    "multi-query": Part("a query is the mean of all images of its identity and camera in a further folder"),
    "leave-one-out": Part("every test image is a query against all others"),
    "draws": Part("random splits into query and gallery, averaged"),
    "sessions": Part("what shares the query's session or track is left out, instead of what shares its camera"),
}
"""Which images are ranked against which, in the order of the name; `sessions` goes with each, the rest exclude another.
"""
STEPS = {
    "flip": Part("features averaged over each image and its mirror image"),
    "camnorm": Part("features standardized per camera, by all test images of that camera", True, True),
    "rerank": Part("k-reciprocal re-ranking, over all test images", True),
}
"""What happens between images and ranking, in this order."""
PARTS = DESIGNS | STEPS


@dataclass(frozen=True)
class Variant:
    """A variant of the protocol: names from `DESIGNS`, then from `STEPS`, each in its order; none is the protocol."""

    parts: tuple[str, ...] = ()

    @property
    def suffix(self) -> str:
        """What follows the protocol's name, and the names of files."""
        return "".join(f"+{part}" for part in self.parts)

    @property
    def protocol(self) -> str:
        """The name under which its scores stand."""
        return PROTOCOL + self.suffix

    @property
    def transductive(self) -> bool:
        """Whether a query's answer depends on the other test images."""
        return any(PARTS[part].transductive for part in self.parts)

    @property
    def test_cameras(self) -> bool:
        """Whether camera labels of the test images change the ranking."""
        return any(PARTS[part].cameras for part in self.parts)

    def __contains__(self, part: str) -> bool:
        return part in self.parts


def named(test_time: Iterable[str] = (), design: Iterable[str] = ()) -> Variant:
    """Return the variant with these steps and designs, in any order. Raises UserError for unknown ones and clashes."""
    wanted = []
    for given, known, kind in ((design, DESIGNS, "design"), (test_time, STEPS, "test-time step")):
        chosen = [name for name in given if name != NONE]
        for name in chosen:
            if name not in known:
                raise UserError(f"no {kind} is called {name!r}{nearest(name, known)}")
        wanted += [name for name in known if name in chosen]
    alone = [name for name in wanted if name in DESIGNS and name != "sessions"]
    if len(alone) > 1:
        raise UserError(f"{' and '.join(alone)} each say which images are queries; name one of them")
    if "leave-one-out" in wanted and "rerank" in wanted:
        raise UserError(
            "leave-one-out ranks images among themselves: with rerank each would stand on both sides; name one of them"
        )
    return Variant(tuple(wanted))


def parsed(protocol: str) -> Variant:
    """Return the variant that a protocol's name says. Raises UserError for a name that none has."""
    plain, *parts = protocol.split("+")
    try:
        found = named([part for part in parts if part not in DESIGNS], [part for part in parts if part in DESIGNS])
    except UserError as error:
        raise UserError(f"no protocol is called {protocol!r}: {error}") from None
    if plain != PROTOCOL or found.protocol != protocol:
        raise UserError(f"no protocol is called {protocol!r}; it could be {PROTOCOL + found.suffix!r}")
    return found
