"""Every loss against explicit loops in float64, in value and gradient, and against values computed by hand."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck

from harness.learning import losses

Loss = Callable[[Tensor], Tensor]
SEEDS = [0, 1, 2, 3]


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def random_labels(batch: int, classes: int, seed: int) -> Tensor:
    return torch.randint(classes, (batch,), generator=torch.Generator().manual_seed(seed + 100))


def value_and_gradient(loss: Loss, at: Tensor) -> tuple[float, Tensor]:
    at = at.clone().requires_grad_()
    value = loss(at)
    (gradient,) = torch.autograd.grad(value, at)
    return value.item(), gradient


def assert_same(loss: Loss, oracle: Loss, at: Tensor, tolerance: float = 1e-9) -> None:
    value, gradient = value_and_gradient(loss, at)
    expected, expected_gradient = value_and_gradient(oracle, at)
    assert value == pytest.approx(expected, abs=tolerance, rel=tolerance)
    torch.testing.assert_close(gradient, expected_gradient, atol=tolerance, rtol=tolerance)


def assert_finite(loss: Loss, at: Tensor) -> None:
    value, gradient = value_and_gradient(loss, at)
    assert math.isfinite(value)
    assert gradient.isfinite().all()


# --- cross-entropies -------------------------------------------------------------------------------------------------


def smoothed_cross_entropy_oracle(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    batch, classes = logits.shape
    total = logits.new_zeros(())
    for b in range(batch):
        probabilities = logits[b].exp() / logits[b].exp().sum()
        for c in range(classes):
            target = smoothing / classes + (1 - smoothing if c == labels[b] else 0)
            total = total - target * probabilities[c].log()
    return total / batch


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("seed", SEEDS)
def test_smoothed_cross_entropy_is_the_loop(smoothing: float, seed: int) -> None:
    logits, labels = 3 * random(6, 5, seed=seed), random_labels(6, 5, seed)
    assert_same(
        lambda x: losses.smoothed_cross_entropy(x, labels, smoothing),
        lambda x: smoothed_cross_entropy_oracle(x, labels, smoothing),
        logits,
    )


def test_smoothed_cross_entropy_by_hand() -> None:
    logits = torch.tensor([[math.log(3), 0.0]], dtype=torch.float64)  # probabilities 3/4 and 1/4
    label = torch.tensor([0])
    assert losses.smoothed_cross_entropy(logits, label, 0).item() == pytest.approx(-math.log(0.75))
    expected = -(0.9 * math.log(0.75) + 0.1 * math.log(0.25))
    assert losses.smoothed_cross_entropy(logits, label, 0.2).item() == pytest.approx(expected)


@pytest.mark.parametrize("seed", SEEDS)
def test_soft_cross_entropy_is_the_loop(seed: int) -> None:
    logits, teacher = 3 * random(6, 5, seed=seed), 3 * random(6, 5, seed=seed + 50)

    def oracle(x: Tensor) -> Tensor:
        total = x.new_zeros(())
        for row, target in zip(x, teacher, strict=True):
            p, q = target.exp() / target.exp().sum(), row.exp() / row.exp().sum()
            for c in range(5):
                total = total - p[c] * q[c].log()
        return total / len(x)

    assert_same(lambda x: losses.soft_cross_entropy(x, teacher), oracle, logits)


def test_soft_cross_entropy_with_a_smoothed_teacher_is_the_smoothed_loss() -> None:
    logits, labels = random(6, 5), random_labels(6, 5, 0)
    target = torch.full((6, 5), 0.1 / 5, dtype=torch.float64)
    target[torch.arange(6), labels] += 0.9
    soft = losses.soft_cross_entropy(logits, target.log())
    torch.testing.assert_close(soft, losses.smoothed_cross_entropy(logits, labels, 0.1))


@pytest.mark.parametrize(
    "loss",
    [
        losses.soft_cross_entropy,
        lambda x, teacher: losses.distillation(x, teacher, 2),
        lambda x, teacher: losses.soft_softmax_triplet(x, teacher, torch.tensor([0, 0, 1, 1])),
    ],
)
def test_no_gradient_reaches_the_teacher(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    student, teacher = random(4, 5).requires_grad_(), random(4, 5, seed=1).requires_grad_()
    of_student, of_teacher = torch.autograd.grad(loss(student, teacher), (student, teacher), allow_unused=True)
    assert of_student.abs().sum() > 0
    assert of_teacher is None


# --- distillation ----------------------------------------------------------------------------------------------------


def test_distillation_by_hand() -> None:
    """Teacher (1/2, 1/2), student (1/4, 3/4) at temperature 2: 4 · (½ ln 2 + ½ ln ⅔)."""
    student, teacher = torch.tensor([[0.0, 2 * math.log(3)]]), torch.zeros(1, 2)
    expected = 4 * (0.5 * math.log(2) + 0.5 * math.log(2 / 3))
    assert losses.distillation(student, teacher, 2).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_distillation_gradient_in_closed_form(temperature: float) -> None:
    """T² times 1/T from the logits: T (softmax(s/T) - softmax(t/T)) / B."""
    student, teacher = random(6, 5), random(6, 5, seed=1)
    _, gradient = value_and_gradient(lambda x: losses.distillation(x, teacher, temperature), student)
    expected = temperature * ((student / temperature).softmax(1) - (teacher / temperature).softmax(1)) / 6
    torch.testing.assert_close(gradient, expected)


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 10), st.floats(0.1, 20))
@settings(max_examples=50, deadline=None)
def test_distillation_is_zero_only_at_the_teacher(seed: int, temperature: float, scale: float) -> None:
    student, teacher = scale * random(3, 4, seed=seed), scale * random(3, 4, seed=seed + 1)
    assert losses.distillation(teacher, teacher, temperature).item() == pytest.approx(0, abs=1e-10)
    assert losses.distillation(student, teacher, temperature).item() > 0


def test_distillation_is_the_soft_cross_entropy_less_the_teachers_entropy() -> None:
    student, teacher = random(6, 5), random(6, 5, seed=1)
    entropy = losses.soft_cross_entropy(teacher, teacher)
    expected = losses.soft_cross_entropy(student, teacher) - entropy
    torch.testing.assert_close(losses.distillation(student, teacher, 1), expected)


def test_one_hot_teacher_makes_distillation_a_plain_cross_entropy() -> None:
    logits, labels = random(6, 5).float(), random_labels(6, 5, 0)
    teacher = torch.full((6, 5), -1e4).scatter_(1, labels[:, None], 0.0)
    torch.testing.assert_close(
        losses.distillation(logits, teacher, 1), losses.smoothed_cross_entropy(logits, labels, 0)
    )
    assert_finite(lambda x: losses.distillation(x, teacher, 0.05), logits)


# --- triplets --------------------------------------------------------------------------------------------------------


def hardest(features: Tensor, labels: Tensor) -> list[tuple[int, int]]:
    """Each anchor's farthest same-label and nearest other-label image, by trying all."""
    pairs = []
    for a in range(len(labels)):
        distances = [(features[a] - other).norm().item() for other in features.detach()]
        positives = [i for i in range(len(labels)) if labels[i] == labels[a]]
        negatives = [i for i in range(len(labels)) if labels[i] != labels[a]]
        pairs.append((max(positives, key=distances.__getitem__), min(negatives, key=distances.__getitem__)))
    return pairs


def distance(features: Tensor, a: int, b: int) -> Tensor:
    return features.new_zeros(()) if a == b else (features[a] - features[b]).pow(2).sum().sqrt()


@pytest.mark.parametrize("margin", [0.0, 0.3, 5.0])
@pytest.mark.parametrize("seed", SEEDS)
def test_batch_hard_triplet_is_the_loop(margin: float, seed: int) -> None:
    features, labels = random(10, 4, seed=seed), random_labels(10, 3, seed)

    def oracle(x: Tensor) -> Tensor:
        terms = [distance(x, a, p) - distance(x, a, n) + margin for a, (p, n) in enumerate(hardest(x, labels))]
        return torch.stack([term if term > 0 else 0 * term for term in terms]).mean()

    # an anchor alone with its label has d_ap = 1e-6, the clamp, instead of 0
    assert_same(lambda x: losses.batch_hard_triplet(x, labels, margin), oracle, features, tolerance=1e-6)


def test_batch_hard_triplet_by_hand() -> None:
    """On a line: 0, 3 (first label), 4, 10 (second). d_ap - d_an: 3 - 4, 3 - 1, 6 - 1, 6 - 7."""
    features, labels = torch.tensor([[0.0], [3.0], [4.0], [10.0]]), torch.tensor([0, 0, 1, 1])
    assert losses.batch_hard_triplet(features, labels, 0.3).item() == pytest.approx((2.3 + 5.3) / 4)


@pytest.mark.parametrize("seed", SEEDS)
def test_softmax_triplet_is_the_loop(seed: int) -> None:
    features, labels = random(10, 4, seed=seed), random_labels(10, 3, seed)

    def oracle(x: Tensor) -> Tensor:
        terms = []
        for a, (p, n) in enumerate(hardest(x, labels)):
            ap, an = distance(x, a, p).exp(), distance(x, a, n).exp()
            terms.append(-(an / (ap + an)).log())
        return torch.stack(terms).mean()

    assert_same(lambda x: losses.softmax_triplet(x, labels), oracle, features, tolerance=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_soft_softmax_triplet_is_the_loop(seed: int) -> None:
    """The teacher's distances are taken at the pairs that the student's features mine."""
    features, teacher = random(10, 4, seed=seed), random(10, 4, seed=seed + 50)
    labels = random_labels(10, 3, seed)

    def oracle(x: Tensor) -> Tensor:
        terms = []
        for a, (p, n) in enumerate(hardest(x, labels)):
            ap, an = distance(x, a, p).exp(), distance(x, a, n).exp()
            teacher_ap, teacher_an = distance(teacher, a, p).exp(), distance(teacher, a, n).exp()
            share = teacher_an / (teacher_ap + teacher_an)
            terms.append(-share * (an / (ap + an)).log() - (1 - share) * (ap / (ap + an)).log())
        return torch.stack(terms).mean()

    assert_same(lambda x: losses.soft_softmax_triplet(x, teacher, labels), oracle, features, tolerance=1e-6)


def test_triplet_gradients_by_finite_differences() -> None:
    features, teacher, labels = random(8, 3), random(8, 3, seed=1), torch.arange(8) // 2
    at = features.requires_grad_()
    assert gradcheck(lambda x: losses.batch_hard_triplet(x, labels, 0.3), (at,))
    assert gradcheck(lambda x: losses.softmax_triplet(x, labels), (at,))
    assert gradcheck(lambda x: losses.soft_softmax_triplet(x, teacher, labels), (at,))


TRIPLETS: list[Callable[[Tensor, Tensor], Tensor]] = [
    lambda x, labels: losses.batch_hard_triplet(x, labels, 0.3),
    losses.softmax_triplet,
    lambda x, labels: losses.soft_softmax_triplet(x, x.detach().flip(0), labels),
]


@pytest.mark.parametrize("loss", TRIPLETS)
@pytest.mark.parametrize(
    ("features", "labels"),
    [
        (torch.zeros(6, 3), [0, 0, 0, 1, 1, 1]),  # a dead network
        (torch.ones(6, 3), [0, 0, 0, 1, 1, 1]),  # a collapsed one
        (random(6, 3).float(), [0, 0, 0, 0, 0, 0]),  # no negatives
        (random(6, 3).float(), [0, 1, 2, 3, 4, 5]),  # no positives but itself
        (1e4 * random(6, 3).float(), [0, 0, 0, 1, 1, 1]),
        (random(1, 3).float(), [0]),
    ],
)
def test_triplets_stay_finite(loss: Callable[[Tensor, Tensor], Tensor], features: Tensor, labels: list[int]) -> None:
    assert_finite(lambda x: loss(x, torch.tensor(labels)), features)


def test_pairwise_distances_are_euclidean() -> None:
    features = random(9, 5)
    expected = torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist")
    torch.testing.assert_close(losses.pairwise_distances(features), expected, atol=1.1e-6, rtol=1e-9)


# --- multi-similarity ------------------------------------------------------------------------------------------------


def multi_similarity_oracle(
    features: Tensor, labels: Tensor, threshold: float, margin: float, alpha: float, beta: float
) -> Tensor:
    """Anchor by anchor, pair by pair, with the mining written as the paper's Eq. 10 and 11."""
    unit = [row / row.norm() for row in features]
    total = features.sum() * 0
    for i in range(len(labels)):
        similarity = [(unit[i] * other).sum() for other in unit]
        positives = [s for j, s in enumerate(similarity) if labels[j] == labels[i] and s < 1 - 1e-5]
        negatives = [s for j, s in enumerate(similarity) if labels[j] != labels[i]]
        if not positives or not negatives:
            continue
        mined_negatives = [s for s in negatives if s + margin > min(positives)]
        mined_positives = [s for s in positives if s - margin < max(negatives)]
        if not mined_negatives or not mined_positives:
            continue
        total = total + (1 + sum((-alpha * (s - threshold)).exp() for s in mined_positives)).log() / alpha
        total = total + (1 + sum((beta * (s - threshold)).exp() for s in mined_negatives)).log() / beta
    return total / len(labels)


@pytest.mark.parametrize("spread", [0.3, 3.0])  # loose clusters: all pairs mined; tight ones: few or none
@pytest.mark.parametrize("seed", SEEDS)
def test_multi_similarity_is_the_loop(spread: float, seed: int) -> None:
    labels = random_labels(14, 5, seed)
    features = random(14, 6, seed=seed) + spread * random(5, 6, seed=seed + 50)[labels]
    features[3] = features[9]  # the same image twice
    assert_same(
        lambda x: losses.multi_similarity(x, labels, 0.5, 0.1, 2, 40),
        lambda x: multi_similarity_oracle(x, labels, 0.5, 0.1, 2, 40),
        features,
    )


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 6), st.floats(0, 0.5), st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_multi_similarity_is_the_loop_for_any_batch(
    seed: int, batch: int, classes: int, margin: float, threshold: float
) -> None:
    features, labels = random(batch, 4, seed=seed), random_labels(batch, classes, seed)
    assert_same(
        lambda x: losses.multi_similarity(x, labels, threshold, margin, 2, 40),
        lambda x: multi_similarity_oracle(x, labels, threshold, margin, 2, 40),
        features,
    )


def test_multi_similarity_by_hand() -> None:
    """Similarities: a-b 0 (same label), a-c cos 60°, b-c cos 30°. c has no positive and adds nothing."""
    features = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, math.sqrt(0.75)]], dtype=torch.float64)
    positive = math.log(1 + math.e) / 2
    a = positive + math.log(2) / 40
    b = positive + math.log(1 + math.exp(40 * (math.sqrt(0.75) - 0.5))) / 40
    loss = losses.multi_similarity(features, torch.tensor([0, 0, 1]), 0.5, 0.1, 2, 40)
    assert loss.item() == pytest.approx((a + b) / 3)


@pytest.mark.parametrize("labels", [[0, 1, 2, 3], [0, 0, 0, 0]])
def test_multi_similarity_without_positives_or_negatives_is_zero(labels: list[int]) -> None:
    value, gradient = value_and_gradient(
        lambda x: losses.multi_similarity(x, torch.tensor(labels), 0.5, 0.1, 2, 40), random(4, 3)
    )
    assert value == 0
    assert (gradient == 0).all()


def test_multi_similarity_gradient_by_finite_differences() -> None:
    labels = torch.arange(8) // 2
    assert gradcheck(
        lambda x: losses.multi_similarity(x, labels, 0.5, 0.1, 2, 40), (random(8, 5, seed=4).requires_grad_(),)
    )


@pytest.mark.parametrize("features", [torch.zeros(6, 3), torch.ones(6, 3), 1e4 * random(6, 3).float()])
def test_multi_similarity_stays_finite(features: Tensor) -> None:
    assert_finite(lambda x: losses.multi_similarity(x, torch.arange(6) // 2, 0.5, 0.1, 2, 40), features)


# --- nuclear norm ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5), (1, 3), (3, 1)])
def test_nuclear_norm_is_the_sum_of_singular_values(shape: tuple[int, int]) -> None:
    logits = 3 * random(*shape)
    probabilities = np.exp(logits.numpy()) / np.exp(logits.numpy()).sum(1, keepdims=True)
    # squared singular values are the eigenvalues of the Gram matrix: no SVD in the oracle
    small = probabilities @ probabilities.T if shape[0] <= shape[1] else probabilities.T @ probabilities
    expected = np.sqrt(np.clip(np.linalg.eigvalsh(small), 0, None)).sum() / shape[0]
    assert losses.nuclear_norm(logits).item() == pytest.approx(expected, abs=1e-7)
    assert gradcheck(losses.nuclear_norm, (logits.requires_grad_(),))


def test_nuclear_norm_rewards_confident_and_diverse_predictions() -> None:
    diverse, collapsed = 1e3 * torch.eye(4), 1e3 * torch.eye(4)[[0, 0, 0, 0]]
    assert losses.nuclear_norm(diverse).item() == pytest.approx(1)
    assert losses.nuclear_norm(collapsed).item() == pytest.approx(0.5)  # one singular value √4
    assert losses.nuclear_norm(torch.zeros(4, 4)).item() == pytest.approx(0.25)


@pytest.mark.parametrize("shape", [(64, 300), (64, 40)])
def test_the_polar_factor_is_that_of_the_singular_value_decomposition(shape: tuple[int, int]) -> None:
    matrix = (4 * random(*shape)).softmax(1)
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    assert values[-1] > losses.SMALLEST_SINGULAR_VALUE * matrix.norm()
    torch.testing.assert_close(losses.polar_factor(matrix), left @ right, atol=1e-8, rtol=0)


def test_the_polar_factor_leaves_out_what_a_matrix_lacks() -> None:
    rank_one = torch.ones(3, 1, dtype=torch.float64) @ random(1, 5)
    torch.testing.assert_close(losses.polar_factor(rank_one), rank_one / rank_one.norm(), atol=1e-8, rtol=0)


@pytest.mark.parametrize("logits", [torch.zeros(4, 4), 1e3 * torch.eye(4), torch.ones(6, 2)])
def test_nuclear_norm_gradient_is_finite_for_equal_singular_values(logits: Tensor) -> None:
    assert_finite(losses.nuclear_norm, logits)


# --- logits and sums -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("scale", [0.0, 16.0])
def test_class_logits_are_the_loop(scale: float, seed: int) -> None:
    features, weights = random(5, 4, seed=seed), random(3, 4, seed=seed + 50)

    def entry(f: Tensor, w: Tensor) -> Tensor:
        product = (f * w).sum()
        return product if scale == 0 else scale * product / (f.pow(2).sum().sqrt() * w.pow(2).sum().sqrt())

    def oracle(x: Tensor) -> Tensor:
        return torch.stack([torch.stack([entry(f, w) for w in weights]) for f in x]).pow(2).sum()

    assert_same(lambda x: losses.class_logits(x, weights, scale).pow(2).sum(), oracle, features)


def test_class_logits_of_a_dead_feature_are_zero() -> None:
    logits = losses.class_logits(torch.zeros(2, 4), random(3, 4).float(), 16)
    assert (logits == 0).all()
