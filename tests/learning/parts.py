"""Small specs, contexts and sets that the tests of this folder share."""

import numpy as np
import numpy.typing as npt
import torch

from harness.learning.algorithm import RunContext
from harness.learning.data import LabeledSet, UnlabeledSet
from harness.learning.optimizers import Adam
from harness.learning.schedules import Constant
from harness.learning.state import RunState
from harness.specs.compute import Augment, BatchShape, Compute, Network, Warmup

CPU = torch.device("cpu")
CONSTANT = Constant(kind="constant")
NO_WARMUP = Warmup(epochs=0, factor=1)
PLAIN = Augment(flip=0, pad=0, erase=0, jitter=0)
STRONG = Augment(flip=0.5, pad=4, erase=0.5, jitter=0.2)


def adam(learning_rate: float, weight_decay: float = 0) -> Adam:
    return Adam(kind="adam", learning_rate=learning_rate, weight_decay=weight_decay)


def network(
    backbone: str = "narrow", pooling: str = "average", bn_groups: int = 1, stem_relu: bool | None = None
) -> Network:
    """A network by the kinds of its parts; a ResNet has a ReLU in its stem unless told otherwise."""
    options = {"stem_relu": stem_relu is not False} if backbone.startswith("resnet") else {}
    parts = {"backbone": {"kind": backbone} | options, "pooling": {"kind": pooling}, "bn_groups": bn_groups}
    return Network.model_validate(parts)


def compute(**changes: object) -> Compute:
    usual = {
        "network": network(),
        "batch": BatchShape(identities=4, instances=4),
        "epochs": 2,
        "iterations": 3,
        "optimizer": adam(0.01, 5e-4),
        "schedule": CONSTANT,
        "warmup": NO_WARMUP,
        "augment": STRONG,
        "precision": "float32",
        "evaluate_every": 1,
    }
    return Compute.model_validate(usual | changes)


def images(count: int, height: int = 16, width: int = 8, seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def labeled(count: int = 32, classes: int = 8) -> LabeledSet:
    return LabeledSet(images(count), np.arange(count) % 3, np.arange(count) % classes, CPU)


def unlabeled(count: int = 32) -> UnlabeledSet:
    return UnlabeledSet(images(count), np.arange(count) % 3, CPU)


def context(**changes: object) -> RunContext:
    usual: dict[str, object] = {"compute": compute(), "seed": 0, "device": CPU, "state": RunState()}
    return RunContext(**(usual | changes))  # type: ignore[arg-type]
