"""Published weights, or a file that a user brings, loaded whole or not at all."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor

from harness.errors import UserError
from harness.inputs.download import HASHED, download, may_download
from harness.inputs.files import check_regular
from harness.learning.backbones.base import BackboneKind, Published
from harness.learning.backbones.timm import NET, POSITIONS
from harness.learning.networks import build
from harness.learning.published import BY_HAND, no_weights, places
from harness.specs.compute import Network

WRAPPERS = ("teacher", "state_dict", "model")
"""Keys under which training scripts put the tensors beside other things; of DINO's two networks, the one to use."""
PREFIXES = ("module.", "base.", "backbone.", "model.", "encoder_q.", "teacher.")
"""What DataParallel and the field's networks put before the backbone's names."""
BACKBONE = "backbone."
"""What comes before a backbone's names in a network."""
COUNTER = "num_batches_tracked"
"""BatchNorm's counter, which older files lack and nothing here reads."""


class WeightsFile(NamedTuple):
    """Which file a run's published weights came from."""

    file: str
    sha256: str


def published_tensors(spec: Network, root: Path, init: str) -> tuple[dict[str, Tensor], WeightsFile]:
    """Return a full state for `spec` whose backbone holds published weights, and the file that they came from.

    init: "imagenet" (torchvision's) or "pretrained" (those of a timm network's tag). The published file is looked for
    in torch's and the Hugging Face Hub's caches and in `<root>/data/weights/`, then another file, in the same names, as
    `data/weights/<backbone>.pth`. Raises UserError if there is none, saying where to put it, if the published file is
    not the one that its name says, and if a file leaves any tensor of the backbone unset or not finite.
    """
    backbone = spec.backbone
    known = backbone.weights(init)
    if known is None:
        raise UserError(no_weights(backbone, init))
    path = _file(known, init, root)
    digest = _sha256(path)
    stated = HASHED.search(path.name)
    if stated and not digest.startswith(stated[1]):
        raise UserError(
            f"{path}: is not the published file: its SHA-256 begins with {digest[:8]}, its name says {stated[1]}; "
            f"download {known.url} again, or name another file {known.other}"
        )
    return _state(spec, path), WeightsFile(known.other if path.name == known.other else known.file, digest)


def file_tensors(spec: Network, root: Path, file: str, sha256: str) -> tuple[dict[str, Tensor], WeightsFile]:
    """Return a full state for `spec` whose backbone holds the tensors of `<root>/<file>`.

    Raises UserError if it is not there, has another SHA-256, or leaves any tensor of the backbone unset or not finite.
    """
    path = root / file
    if not path.is_file():
        raise UserError(f"init: {file}: no such file; bring it there (SHA-256 {sha256[:12]}…)")
    digest = _sha256(path)
    if digest != sha256:
        raise UserError(f"init: {file}: has SHA-256 {digest}, the spec says {sha256}; it is another file")
    return _state(spec, path), WeightsFile(path.name, digest)


def fitted(spec: Network, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a run's network as `spec` takes them: a transformer's positions, for images of its size."""
    name = f"{BACKBONE}{NET}{POSITIONS}"
    if name not in tensors:
        return tensors
    own = build(spec, 0, torch.device("cpu")).state_dict()[name]
    return tensors | {name: spec.backbone.fitted(POSITIONS, tensors[name], own)}


def _state(spec: Network, path: Path) -> dict[str, Tensor]:
    state: dict[str, Tensor] = build(spec, 0, torch.device("cpu")).state_dict()
    own = {name.removeprefix(BACKBONE): value for name, value in state.items() if name.startswith(BACKBONE)}
    filled = _fill(spec.backbone, own, _tensors(path), path)
    return state | {f"{BACKBONE}{name}": value for name, value in filled.items()}


def _file(known: Published, init: str, root: Path) -> Path:
    path = next((place for place in places(known, root) if place.exists()), None)
    other = f"or other weights in the same names as {BY_HAND / known.other}"
    if path is None and may_download():
        path = root / BY_HAND / known.file
        try:
            download(known.url, path)
        except UserError as error:
            raise UserError(f"init: {init}: {error}, {other}") from error
    if path is None:
        raise UserError(
            f"init: {init}: {known.file} is neither in a cache nor in {BY_HAND}/; download {known.url} and put it "
            f"there as {BY_HAND / known.file}, {other}"
        )
    return path


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by name, out of what wraps them and without prefixes."""
    check_regular(path)
    try:
        if path.suffix == ".safetensors":
            content: Any = load_file(path)
        else:
            with torch.serialization.safe_globals([argparse.Namespace]):  # DINO's settings, mere values by name
                content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes the unpickler raise anything, KeyError included
        raise UserError(f"{path}: not a readable weight file; download it again") from error
    while isinstance(content, Mapping) and (key := next((key for key in WRAPPERS if key in content), None)):
        content = content[key]
    if not isinstance(content, Mapping):
        raise UserError(f"{path}: holds a {type(content).__name__}, not tensors by name")
    tensors = {_bare(str(name)): value for name, value in content.items() if isinstance(value, Tensor)}
    if not tensors:
        raise UserError(f"{path}: holds no tensors")
    return tensors


def _bare(name: str) -> str:
    while prefix := next((prefix for prefix in PREFIXES if name.startswith(prefix)), ""):
        name = name.removeprefix(prefix)
    return name


def _fill(
    backbone: BackboneKind, own: Mapping[str, Tensor], published: Mapping[str, Tensor], path: Path
) -> dict[str, Tensor]:
    """Return the backbone's tensors by its own names. Raises UserError unless every one is set, fits and is finite."""

    def wrong(what: str) -> UserError:
        return UserError(f"{path}: {what}; backbone {backbone.kind!r} needs its tensors as {backbone.names} names them")

    names = {name: backbone.published(name) for name in own}
    found: dict[str, Tensor] = {}
    for name, theirs in names.items():
        if theirs in published:
            found[name] = value = backbone.fitted(theirs, published[theirs], own[name])
            if value.shape != own[name].shape:
                raise wrong(f"tensor {theirs!r} is {list(value.shape)}, not {list(own[name].shape)}")
            if not value.isfinite().all():
                raise wrong(f"tensor {theirs!r} holds NaN or infinite values")
        elif not name.endswith(COUNTER):
            raise wrong(f"tensor {theirs!r} is missing; the file holds {next(iter(published))!r} and the like")
    parts = {theirs.split(".")[0] for theirs in names.values()}
    for theirs in sorted(published.keys() - names.values()):
        if theirs.split(".")[0] in parts:
            raise wrong(f"tensor {theirs!r} has no place")
    return found
