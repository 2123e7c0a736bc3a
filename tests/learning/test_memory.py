"""The memories against explicit loops over the images of a batch, one by one."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import normalize

from harness.learning import memory as memories

Update = Callable[[Tensor, Tensor, Tensor, float], None]


def unit(*shape: int, seed: int = 0) -> Tensor:
    return normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=1)


def update_one_by_one(memory: Tensor, features: Tensor, labels: Tensor, momentum: float) -> None:
    for feature, label in zip(features, labels.tolist(), strict=True):
        memory[label] = normalize(momentum * memory[label] + (1 - momentum) * feature, dim=0)


def update_hard_one_by_one(memory: Tensor, features: Tensor, labels: Tensor, momentum: float) -> None:
    before = memory.clone()
    for label in sorted(set(labels.tolist())):
        images = [i for i in range(len(labels)) if labels[i] == label]
        chosen = min(images, key=lambda i: (features[i] @ before[labels[i]]).item())  # min: the first of equals
        memory[label] = normalize(momentum * memory[label] + (1 - momentum) * features[chosen], dim=0)


batches = st.lists(st.integers(0, 6), min_size=1, max_size=24)


@given(batches, st.floats(0, 1), st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_update_is_the_sequential_loop(labels: list[int], momentum: float, seed: int) -> None:
    memory, features, where = unit(7, 5, seed=seed), unit(len(labels), 5, seed=seed + 1), torch.tensor(labels)
    expected = memory.clone()
    update_one_by_one(expected, features, where, momentum)
    untouched = sorted(set(range(7)) - set(labels))
    before = memory[untouched].clone()
    memories.update(memory, features, where, momentum, max_per_label=max(labels.count(label) for label in labels))
    torch.testing.assert_close(memory, expected, atol=1e-6, rtol=0)
    assert torch.equal(memory[untouched], before)


def test_update_is_the_sequential_loop_on_a_published_batch() -> None:
    """16 clusters × 16 images in blocks, and shuffled, at 2048 dimensions."""
    labels = torch.arange(16).repeat_interleave(16)
    for order in (torch.arange(256), torch.randperm(256, generator=torch.Generator().manual_seed(0))):
        memory, features = unit(20, 2048), unit(256, 2048, seed=1)
        expected = memory.clone()
        update_one_by_one(expected, features[order], labels[order], 0.1)
        memories.update(memory, features[order], labels[order], 0.1, max_per_label=16)
        assert torch.equal(memory, expected)


def test_momentum_is_the_weight_of_the_old_value() -> None:
    memory = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    memories.update(memory, torch.tensor([[0.0, 1.0]]), torch.tensor([0]), 0.1, max_per_label=1)
    torch.testing.assert_close(memory, torch.tensor([[0.1, 0.9], [0.6, 0.8]]) / torch.tensor([[0.82**0.5], [1.0]]))


def test_after_a_batch_an_entry_is_almost_its_last_image() -> None:
    """Sixteen images with mutual cosine 0.52, momentum 0.1: the field's released update forgets all but the last."""
    common, own = unit(1, 4096), unit(16, 4096, seed=1)
    features = normalize(0.52**0.5 * common + 0.48**0.5 * own, dim=1)
    memory = normalize(features.mean(0, keepdim=True), dim=1)
    mean = memory[0].clone()
    memories.update(memory, features, torch.zeros(16, dtype=torch.int64), 0.1, max_per_label=16)
    assert (memory[0] @ features[-1]).item() == pytest.approx(0.996, abs=0.002)
    assert (memory[0] @ mean).item() == pytest.approx(0.78, abs=0.02)
    assert memory[0].norm().item() == pytest.approx(1)


def test_more_steps_than_images_change_nothing() -> None:
    labels = torch.tensor([1, 0, 1])
    exact, generous = unit(3, 4), unit(3, 4)
    memories.update(exact, unit(3, 4, seed=1), labels, 0.1, max_per_label=2)
    memories.update(generous, unit(3, 4, seed=1), labels, 0.1, max_per_label=9)
    assert torch.equal(exact, generous)


def test_the_order_of_a_labels_images_matters() -> None:
    features, labels = unit(4, 3), torch.zeros(4, dtype=torch.int64)
    forward, backward = unit(1, 3, seed=1), unit(1, 3, seed=1)
    memories.update(forward, features, labels, 0.1, max_per_label=4)
    memories.update(backward, features.flip(0), labels, 0.1, max_per_label=4)
    assert not torch.allclose(forward, backward, atol=1e-2)


@pytest.mark.parametrize("update", [partial(memories.update, max_per_label=1), memories.update_hard])
def test_an_image_opposite_to_its_entry_gives_zero_not_nan(update: Update) -> None:
    memory = torch.tensor([[1.0, 0.0]])
    update(memory, torch.tensor([[-1.0, 0.0]]), torch.tensor([0]), 0.5)
    assert torch.equal(memory, torch.zeros(1, 2))


@given(batches, st.floats(0, 1), st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_hard_update_is_the_loop(labels: list[int], momentum: float, seed: int) -> None:
    memory, features, where = unit(7, 5, seed=seed), unit(len(labels), 5, seed=seed + 1), torch.tensor(labels)
    expected = memory.clone()
    update_hard_one_by_one(expected, features, where, momentum)
    memories.update_hard(memory, features, where, momentum)
    torch.testing.assert_close(memory, expected, atol=1e-6, rtol=0)


def test_hard_update_takes_the_first_of_equally_hard_images() -> None:
    memory = torch.tensor([[1.0, 0.0, 0.0]])
    features = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    memories.update_hard(memory, features, torch.tensor([0, 0, 0]), 0.0)
    assert memory.tolist() == [[0.0, 1.0, 0.0]]


@given(st.lists(st.integers(-1, 4), min_size=1, max_size=20), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_centroids_are_the_normalized_means(labels: list[int], seed: int) -> None:
    features, where = unit(len(labels), 4, seed=seed), torch.tensor(labels)
    centroids = memories.centroids(features, where)
    assert centroids.shape == (max(labels) + 1, 4)
    for label, centroid in enumerate(centroids):
        members = [features[i].double().numpy() for i in range(len(labels)) if labels[i] == label]
        expected = np.mean(members, 0) if members else np.zeros(4)  # a label without an image has no direction
        if np.linalg.norm(expected) > 1e-3:
            expected = expected / np.linalg.norm(expected)
            np.testing.assert_allclose(centroid.numpy(), expected, atol=1e-4)
        assert centroid.isfinite().all()


def test_similarity_logits_train_the_features_and_not_the_memory() -> None:
    features, memory = unit(3, 4).requires_grad_(), unit(5, 4, seed=1).requires_grad_()
    logits = memories.similarity_logits(features, memory, 0.05)
    for i in range(3):
        for c in range(5):
            assert logits[i, c].item() == pytest.approx((features[i] @ memory[c]).item() / 0.05, abs=1e-4)
    of_features, of_memory = torch.autograd.grad(logits.sum(), (features, memory), allow_unused=True)
    assert of_memory is None
    torch.testing.assert_close(of_features, memory.detach().sum(0).expand(3, 4) / 0.05)


def test_mean_similarity_logits_are_products_with_the_unnormalized_centroid() -> None:
    """SpCL: the mean over a label's rows equals the product with the mean row."""
    features, memory, labels = unit(3, 4), unit(6, 4, seed=1), torch.tensor([2, 0, 1, 0, 0, 1])
    sizes = torch.bincount(labels)
    assert sizes.tolist() == [3, 2, 1]
    logits = memories.mean_similarity_logits(features, memory, labels, sizes, 0.05)
    for i in range(3):
        for label in range(3):
            centroid = torch.stack([memory[row] for row in range(6) if labels[row] == label]).mean(0)
            assert logits[i, label].item() == pytest.approx((features[i] @ centroid).item() / 0.05, abs=1e-5)


def test_mean_similarity_logits_train_the_features_and_not_the_memory() -> None:
    """The gradient of the sum of all logits is the sum of the labels' mean rows over τ."""
    features, memory = unit(3, 4).requires_grad_(), unit(6, 4, seed=1).requires_grad_()
    labels = torch.tensor([2, 0, 1, 0, 0, 1])
    logits = memories.mean_similarity_logits(features, memory, labels, torch.bincount(labels), 0.05)
    of_features, of_memory = torch.autograd.grad(logits.sum(), (features, memory), allow_unused=True)
    assert of_memory is None
    expected = torch.stack([memory[labels == label].mean(0) for label in range(3)]).sum(0) / 0.05
    torch.testing.assert_close(of_features, expected.detach().expand(3, 4))


def test_labels_arrive_as_int64() -> None:
    labels = memories.as_labels(np.array([2, -1, 0], np.int32)[::-1], torch.device("cpu"))
    assert labels.dtype == torch.int64
    assert labels.tolist() == [0, -1, 2]
