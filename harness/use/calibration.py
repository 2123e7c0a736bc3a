"""From which similarity two pictures show the same individual, with its error rates; stored beside the run.

A *search* compares one picture with a gallery. It errs in two ways (ISO/IEC 19795-1; Huang et al., arXiv 2407.16133):
FPIR is the share of searches for somebody who is not in the gallery that return anybody; FNIR the share of searches for
somebody who is there that return no right picture, at whatever rank. A pair is a search in a gallery of one picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from harness.errors import UserError
from harness.inputs.files import MissingFileError, read_bytes
from harness.inputs.json import parse_sealed
from harness.specs.base import Frozen

FPIR_SAME, FPIR_LOOSE = 0.01, 0.1
FNIR_DIFFERENT = 0.01
BINS = 100
"""Of the histograms, over similarities from -1 to 1."""
RESAMPLES = 1000
BLOCK = 8_000_000
"""Weights of resampled searches that are held at a time."""

Verdict = Literal["same", "unsure", "different"]
Values = npt.NDArray[np.float64]


class OperatingPoint(Frozen):
    """A threshold and its error rates, as shares."""

    threshold: float
    fpir: float = Field(description="measured; at most the rate that was asked for")
    fnir: float
    fnir_low: float = Field(description="95 % interval: bootstrap over identities, threshold chosen anew each time")
    fnir_high: float


class Calibration(Frozen):
    """`calibration.json`: pictures are the same from `same.threshold` on, different below `different_below`."""

    checkpoint: str = Field(description="SHA-256 of the weights that it belongs to")
    data: str = Field(description="what it was measured on")
    identities: int
    searches_with_match: int
    searches_without_match: int
    gallery: int = Field(description="pictures that one search is compared with; FPIR grows with it")
    same: OperatingPoint = Field(description="at FPIR 1 %")
    loose: OperatingPoint = Field(description="at FPIR 10 %")
    different_below: float = Field(
        description="at most 1 % of the searches for somebody who is there find no right picture from here on"
    )
    same_pairs: tuple[int, ...] = Field(description="histogram of similarities, equal bins from -1 to 1")
    different_pairs: tuple[int, ...]
    sha256: str = Field(default="", description="of the other fields, as JSON with sorted keys")

    def verdict(self, similarity: float) -> Verdict:
        """Return what a similarity means."""
        if similarity >= self.same.threshold:
            return "same"
        return "different" if similarity < self.different_below else "unsure"


@dataclass(frozen=True)
class Searches:
    """What S searches found. NaN where a search has no right, or no wrong, picture to find."""

    best_same: Values  # [S]: the highest similarity to a picture of the same individual
    best_different: Values  # [S]: … of another one
    identities: npt.NDArray[np.int64]  # [S], 0 … identities - 1: what is resampled as one
    same_pairs: npt.NDArray[np.int64]  # [BINS]
    different_pairs: npt.NDArray[np.int64]  # [BINS]
    gallery: int


def calibrate(searches: Searches, checkpoint: str, data: str) -> Calibration:
    """Return the thresholds at FPIR 1 % and 10 %. Raises UserError if nothing matches, or everything does."""
    mates, others = ~np.isnan(searches.best_same), ~np.isnan(searches.best_different)
    if not mates.any():
        raise UserError(f"{data}: shows no individual twice, so nothing says how alike the same one looks")
    if not others.any():
        raise UserError(f"{data}: shows one individual only, so nothing says how alike different ones look")
    same = _operating_point(searches, FPIR_SAME)
    return Calibration(
        checkpoint=checkpoint,
        data=data,
        identities=len(np.unique(searches.identities)),
        searches_with_match=int(mates.sum()),
        searches_without_match=int(others.sum()),
        gallery=searches.gallery,
        same=same,
        loose=_operating_point(searches, FPIR_LOOSE),
        different_below=min(same.threshold, _missing_at_most(searches.best_same[mates], FNIR_DIFFERENT)),
        same_pairs=tuple(searches.same_pairs.tolist()),
        different_pairs=tuple(searches.different_pairs.tolist()),
    )


def read_calibration(path: Path) -> Calibration | None:
    """Return the calibration at `path`, or None if there is none. Raises UserError if it is damaged."""
    try:
        return parse_sealed(read_bytes(path), path, Calibration)
    except MissingFileError:
        return None
    except UserError as error:
        why = str(error).removeprefix(f"{path}: ")
        raise UserError(f"{path}: not a readable calibration ({why}); run: harness calibrate again") from error


def meaning(calibration: Calibration | None) -> str:
    """Return what similarities mean, in words."""
    if calibration is None:
        return "Not calibrated, so no similarity means 'same'; `harness calibrate` finds out which does."
    same = calibration.same
    size = f"{calibration.gallery} picture{'s' if calibration.gallery > 1 else ''}"
    return (
        f"Same from {same.threshold:.3f} on, different below {calibration.different_below:.3f}. In a gallery of {size} "
        f"{100 * same.fpir:.1f} % of the searches for somebody else found a 'same', and {100 * same.fnir:.1f} % of "
        f"those for somebody who is there found none ({calibration.data})."
    )


def histogram(similarities: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Return counts in `BINS` equal bins from -1 to 1, ends included."""
    return np.histogram(np.clip(similarities, -1, 1), BINS, (-1, 1))[0].astype(np.int64)


def _operating_point(searches: Searches, fpir: float) -> OperatingPoint:
    count = searches.identities.max() + 1
    once = np.ones((1, len(searches.identities)))
    threshold = _thresholds(searches.best_different, once, fpir)
    rng = np.random.default_rng(0)
    rates: list[Values] = []
    step = max(1, BLOCK // len(searches.identities))
    for start in range(0, RESAMPLES, step):
        rows = min(step, RESAMPLES - start)
        drawn = rng.multinomial(count, np.full(count, 1 / count), size=rows)
        weights = drawn[:, searches.identities].astype(np.float64)
        rates.append(_misses(searches.best_same, weights, _thresholds(searches.best_different, weights, fpir)))
    low, high = np.nanquantile(np.concatenate(rates), (0.025, 0.975))
    known = searches.best_different[~np.isnan(searches.best_different)]
    return OperatingPoint(
        threshold=float(threshold[0]),
        fpir=float(np.mean(known >= threshold[0])),
        fnir=float(_misses(searches.best_same, once, threshold)[0]),
        fnir_low=float(low),
        fnir_high=float(high),
    )


def _thresholds(different: Values, weights: Values, fpir: float) -> Values:
    """Return the lowest threshold with at most `fpir` of the weighted searches at or above it, per row of `weights`."""
    known = np.flatnonzero(~np.isnan(different))
    order = known[np.argsort(-different[known], kind="stable")]
    descending = different[order]
    above = np.cumsum(weights[:, order], axis=1)  # searches at or above each value
    allowed = fpir * above[:, -1:] + 1e-9
    # The first value that would be one search too many is just missed.
    first = np.minimum((above <= allowed).sum(axis=1), len(descending) - 1)
    values: Values = np.nextafter(descending[first].astype(np.float32), np.float32(np.inf)).astype(np.float64)
    return values


def _missing_at_most(same: Values, share: float) -> float:
    """Return the highest threshold that at most `share` of the best right pictures lie below."""
    return float(np.sort(same)[int(share * len(same) + 1e-9)])


def _misses(same: Values, weights: Values, thresholds: Values) -> Values:
    """Return the weighted share of searches with a match whose best right picture is below the threshold, per row."""
    known = ~np.isnan(same)
    missed = same[known] < thresholds[:, None]
    with np.errstate(invalid="ignore"):  # a resample without any such search: NaN, left out of the quantiles
        rates: Values = (missed * weights[:, known]).sum(axis=1) / weights[:, known].sum(axis=1)
    return rates
