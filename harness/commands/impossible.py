"""Pairings whose specs are valid, each by itself, and that cannot run all the same."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel

from harness.data.prepared import open_prepared
from harness.labels.distances.base import DistanceKind
from harness.learning.published import no_weights
from harness.paths import prepared_folder
from harness.specs.base import Frozen
from harness.specs.method import ResolvedMethod
from harness.specs.pairing import Pairing
from harness.specs.params import Labels
from harness.specs.registry import Registry, import_algorithm
from harness.specs.yamlfile import Location, place_of


def impossibilities(registry: Registry, pairing: Pairing, method: ResolvedMethod) -> Iterator[str]:
    """Yield what keeps `pairing` from running, with file and line, without its data being read.

    Raises UserError if what it starts from has no valid spec.
    """
    yield from _start(registry, pairing, method)
    params = import_algorithm(method.algorithm, registry.spec_files(method.name)[0]).model_validate(method.params)
    yield from _neighbours(registry, pairing, params)
    yield from _cameras(registry, pairing, params)


def _start(registry: Registry, pairing: Pairing, method: ResolvedMethod) -> Iterator[str]:
    """Weights that there are not, or that belong to another network."""
    network, where = method.compute.network, _place(registry, pairing, ["init"])
    if method.init in ("imagenet", "pretrained") and network.backbone.weights(method.init) is None:
        yield f"{where}: {no_weights(network.backbone, method.init)}"
    for start in registry.init_pairings(pairing):
        theirs = registry.resolved(start).compute.network
        for part, fits in (
            ("backbone", network.backbone.takes_weights_of(theirs.backbone)),
            ("pooling", network.pooling == theirs.pooling),
        ):
            ours_is, theirs_is = getattr(network, part), getattr(theirs, part)
            if not fits:
                yield (
                    f"{where}: init: {start.method} trains {part} {_stated(theirs_is)}, this method starts "
                    f"{part} {_stated(ours_is)}: its weights do not fit"
                )


def _neighbours(registry: Registry, pairing: Pairing, params: BaseModel) -> Iterator[str]:
    """Distances that look at as many neighbours as there are images."""
    images = _training_images(registry, pairing.target)
    for name, value in params:
        if isinstance(value, Labels) and images is not None and value.distance.neighbours >= images:
            where = _place(registry, pairing, ["params", name, "distance", *_key_of_neighbours(value.distance)])
            yield (
                f"{where}: params.{name}.distance: {value.distance.neighbours} neighbours, but {pairing.target} has "
                f"{images} images to train on: choose fewer"
            )


def _key_of_neighbours(distance: DistanceKind) -> list[str]:
    """The key of a distance that says how many neighbours it looks at, itself counted or not, if it is one alone."""
    return next(([key] for key, value in distance if value in (distance.neighbours, distance.neighbours - 1)), [])


def _cameras(registry: Registry, pairing: Pairing, params: BaseModel) -> Iterator[str]:
    """A method that uses cameras and does not say so, or the other way round."""
    uses = getattr(params, "uses_cameras", False)
    uses = uses or any(isinstance(value, Labels) and value.uses_cameras for _, value in params)
    spec = registry.method(pairing.method)
    if uses != spec.needs_cameras:
        path, line, _ = place_of(registry.spec_files(spec.name), [["needs_cameras"], ["params"]])
        says, does = ("false", "do not work without") if uses else ("true", "use no")
        yield f"{path.relative_to(registry.root)}:{line}: needs_cameras: is {says}, but the params {does} cameras"


def _training_images(registry: Registry, dataset: str) -> int | None:
    """The images of the training split as prepared, else as expected; None if neither is known."""
    folder, expected = prepared_folder(registry.root, dataset), registry.dataset(dataset).expect
    if folder.exists():
        return int(open_prepared(folder).info["splits"]["train"]["images"])
    return expected.train.images if expected else None


def _place(registry: Registry, pairing: Pairing, location: Location) -> str:
    """`file:line` of what decides a value of a pairing's resolved spec."""
    section = ["regimes", registry.dataset(pairing.target).regime]
    places = [[*section, "targets", pairing.target, *location], [*section, *location], [*location]]
    path, line, _ = place_of(registry.spec_files(pairing.method), places)
    return f"{path.relative_to(registry.root)}:{line}"


def _stated(part: Frozen) -> str:
    """A part as YAML states it."""
    return f"{{{', '.join(f'{key}: {str(value).lower()}' for key, value in part)}}}"
