"""Which images make a batch: camera-aware P×K sampling, and plain shuffling."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from harness.errors import UserError

Index = npt.NDArray[np.int64]


def camera_aware_order(labels: Index, cameras: Index, instances: int, rng: np.random.Generator) -> Index:
    """Return one pass of the field's RandomMultipleGallerySampler (open-reid lineage) over images with a label >= 0.

    Labels in random order; for each, one random anchor and `instances - 1` companions from *other* cameras than the
    anchor's where there are any, else from the label's other images; without replacement if there are at least
    `instances` candidates (the lineage's rule), else with. A singleton is emitted alone.

    labels, cameras: [N]. Returns positions into them, [M].
    """
    kept = np.flatnonzero(labels >= 0)
    by_label = kept[np.argsort(labels[kept], kind="stable")]
    members = np.split(by_label, np.flatnonzero(np.diff(labels[by_label])) + 1) if len(kept) else []
    order: list[Index] = []
    for position in rng.permutation(len(members)):
        group = members[position]
        anchor = group[rng.integers(len(group))]
        candidates = group[cameras[group] != cameras[anchor]]
        if len(candidates) == 0:
            candidates = group[group != anchor]
        order.append(np.array([anchor]))
        if len(candidates):
            order.append(rng.choice(candidates, instances - 1, replace=len(candidates) < instances))
    return np.concatenate(order) if order else np.empty(0, np.int64)


def pk_batches(
    labels: Index, cameras: Index, identities: int, instances: int, rng: np.random.Generator
) -> Iterator[Index]:
    """Yield index batches of `identities` × `instances` images for ever, pass after pass, dropping incomplete tails.

    Singletons are emitted alone, so P and K are approximate, as in the published runs.
    Raises UserError if one pass holds fewer images than a batch.
    """
    return _batches(lambda: camera_aware_order(labels, cameras, instances, rng), identities, instances)


def balanced_order(labels: Index, instances: int, rng: np.random.Generator) -> Index:
    """Return one pass of CAP's ClassUniformlySampler over images with a label >= 0: `instances` of each label.

    Labels in random order; without replacement where a label has enough images, else out of `instances` copies of each.
    labels: [N]. Returns positions into them, [M].
    """
    kept = np.flatnonzero(labels >= 0)
    by_label = kept[np.argsort(labels[kept], kind="stable")]
    members = np.split(by_label, np.flatnonzero(np.diff(labels[by_label])) + 1) if len(kept) else []
    order = []
    for position in rng.permutation(len(members)):
        group = members[position]
        order.append(rng.choice(group if len(group) >= instances else np.repeat(group, instances), instances, False))
    return np.concatenate(order) if order else np.empty(0, np.int64)


def balanced_batches(labels: Index, identities: int, instances: int, rng: np.random.Generator) -> Iterator[Index]:
    """Yield index batches of exactly `instances` images of each of `identities` labels for ever, pass after pass.

    Incomplete tails are dropped. Raises UserError if one pass holds fewer images than a batch.
    """
    return _batches(lambda: balanced_order(labels, instances, rng), identities, instances)


def _batches(one_pass: Callable[[], Index], identities: int, instances: int) -> Iterator[Index]:
    size = identities * instances
    while True:
        order = one_pass()
        if len(order) < size:
            raise UserError(
                f"only {len(order)} images can be sampled, fewer than a batch of {identities}×{instances}: "
                "choose a smaller batch or check the pseudo-labels"
            )
        for start in range(0, len(order) - size + 1, size):
            yield order[start : start + size]


def shuffled_batches(count: int, size: int, rng: np.random.Generator) -> Iterator[Index]:
    """Yield index batches of a shuffled range for ever, dropping incomplete tails.

    Raises UserError for fewer images than a batch.
    """
    if count < size:
        raise UserError(f"only {count} images, fewer than a batch of {size}: choose a smaller batch")
    while True:
        order = rng.permutation(count)
        for start in range(0, count - size + 1, size):
            yield order[start : start + size]
