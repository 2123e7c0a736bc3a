"""ImageNet weights: torchvision's own files, from its cache or from a file given by hand."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlparse

import torch
from torch import Tensor

from harness.errors import UserError
from harness.learning.networks import build
from harness.specs.compute import Network

BY_HAND = Path("data/weights")


def imagenet_tensors(spec: Network, root: Path) -> dict[str, Tensor]:
    """Return a full state for `spec` whose backbone holds torchvision's ImageNet weights (IMAGENET1K_V1).

    The file is looked for in torchvision's cache and in `<root>/data/weights/`; UserError says where to put it.
    """
    if spec.backbone == "narrow" or spec.backbone.endswith("-ibn-a"):
        raise UserError(f"init: imagenet: torchvision has no ImageNet weights for backbone {spec.backbone!r}")
    import torchvision  # here, since importing it takes longer than loading torch

    weights = torchvision.models.get_model_weights(spec.backbone).IMAGENET1K_V1
    file_name = Path(urlparse(weights.url).path).name
    places = [Path(torch.hub.get_dir()) / "checkpoints" / file_name, root / BY_HAND / file_name]
    path = next((place for place in places if place.exists()), None)
    if path is None:
        raise UserError(
            f"init: imagenet: {file_name} is neither in torchvision's cache nor in {BY_HAND}/; "
            f"download {weights.url} and put it there"
        )
    try:
        published = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes the unpickler raise anything, KeyError included
        raise UserError(f"{path}: not a readable weight file; download {weights.url} again") from error
    network = build(spec, 0, torch.device("cpu"))
    state = network.state_dict()
    stem = ["conv1", "bn1", *(["relu"] if spec.stem_relu else []), "maxpool"]
    position = {name: index for index, name in enumerate([*stem, "layer1", "layer2", "layer3", "layer4"])}
    for name, value in published.items():
        part, _, rest = name.partition(".")
        if part in position:
            state[f"backbone.{position[part]}.{rest}"] = value
    return state
