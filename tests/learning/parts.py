"""Small specs, contexts and sets that the tests of this folder share."""

import numpy as np
import numpy.typing as npt
import torch

from harness.learning.algorithm import RunContext
from harness.learning.data import LabeledSet, UnlabeledSet
from harness.learning.state import RunState
from harness.specs.compute import Augment, BatchShape, Compute, Network, Optimizer, Schedule

CPU = torch.device("cpu")
CONSTANT = Schedule(kind="constant", warmup_epochs=0, warmup_factor=1, milestones=(), decay=1)
PLAIN = Augment(flip=0, pad=0, erase=0, jitter=0)
STRONG = Augment(flip=0.5, pad=4, erase=0.5, jitter=0.2)


def network(**changes: object) -> Network:
    usual = {"backbone": "narrow", "pooling": "average", "stem_relu": True, "bn_groups": 1}
    return Network.model_validate(usual | changes)


def compute(**changes: object) -> Compute:
    usual = {
        "network": network(),
        "batch": BatchShape(identities=4, instances=4),
        "epochs": 2,
        "iterations": 3,
        "optimizer": Optimizer(learning_rate=0.01, weight_decay=5e-4),
        "schedule": CONSTANT,
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
