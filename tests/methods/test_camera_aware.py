"""The camera-aware methods: each loss against its formula written out image by image, and what switches leave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from harness import learning
from harness.errors import UserError
from harness.labels import ca_jaccard_distance, cluster, jaccard_distance
from harness.labels.debiasing import normalize_per_camera, without_single_camera
from harness.labels.label_free import camera_bias
from harness.learning.data import UnlabeledSet
from harness.learning.networks import build
from harness.learning.parts import PartEmbedding
from harness.specs import Pairing
from methods.ca_jaccard import CAJaccardContrast
from methods.cluster_contrast import ClusterContrast
from methods.cluster_contrast_debiased import DebiasedClusterContrast, DebiasedLabels
from methods.o2cap import O2CAP
from methods.pplr import PPLR, cross_agreement
from tests.labels.oracles import clustered
from tests.learning.parts import CPU, compute, context, images, network
from tests.methods.test_relations import differ, made, params_of, target, trained
from tests.pipeline.tiny import shipped

CA = {"kind": "ca-jaccard", "k1_intra": 3, "k1_inter": 6, "k2_intra": 1, "k2_inter": 2}


ALGORITHMS: dict[str, Callable[[str], Any]] = {
    "cluster-contrast-debiased": lambda name: made(DebiasedClusterContrast, params_of(name)),
    "ca-jaccard": lambda name: made(CAJaccardContrast, suited(name)),
    "pplr-cam": lambda name: higher(name),
    "o2cap": lambda name: made(O2CAP, params_of(name)),
}


def probabilities(logits: Tensor) -> np.ndarray:
    scaled = np.exp(logits.detach().double().numpy())
    return np.asarray(scaled / scaled.sum())


# --- labels ----------------------------------------------------------------------------------------------------------


def debiased(**switches: bool) -> dict[str, Any]:
    params = params_of("cluster-contrast-debiased")
    return params | {"labels": params["labels"] | switches}


def test_debiased_with_both_switches_off_is_cluster_contrast_bit_for_bit() -> None:
    plain = trained(made(ClusterContrast, params_of("cluster-contrast")))
    off = debiased(normalize_per_camera=False, drop_single_camera=False)
    assert differ(trained(made(DebiasedClusterContrast, off)), plain) == []


def test_debiased_labels_are_of_features_without_what_their_camera_adds() -> None:
    spec = DebiasedLabels.model_validate(debiased()["labels"])
    cameras = np.random.default_rng(0).integers(0, 3, 96)
    features = torch.from_numpy(clustered(4, 96))
    features = normalize(features + 2 * torch.from_numpy(clustered(5, 3))[cameras], dim=1)
    run = context(target=UnlabeledSet(images(96), cameras, CPU))
    found = learning.pseudo.assign(features, spec, run)
    distance = jaccard_distance(normalize_per_camera(features, cameras), 6, 2, 0.6)
    np.testing.assert_array_equal(found, without_single_camera(cluster(distance, 0.6, 2), cameras))
    assert camera_bias(found, cameras) < camera_bias(cluster(jaccard_distance(features, 6, 2, 0.6), 0.6, 2), cameras)
    assert run.cameras_used


def test_a_cluster_that_one_camera_sees_is_left_out_of_the_epoch() -> None:
    params = debiased(normalize_per_camera=False, drop_single_camera=True)
    algorithm, plain = made(DebiasedClusterContrast, params), made(ClusterContrast, params_of("cluster-contrast"))
    next(iter(plain.begin_epoch(0)))
    cameras = np.where(plain.labels.numpy() == 0, 1, np.arange(48) % 3)
    algorithm.run.unlabeled._cameras = cameras
    for batch in algorithm.begin_epoch(0):
        assert not (plain.labels[batch.index] == 0).any()
    assert (algorithm.labels[plain.labels == 0] == -1).all()
    assert algorithm.labels.max() == plain.labels.max() - 1


def test_ca_jaccard_averages_over_other_neighbours_in_the_first_epoch() -> None:
    params = params_of("ca-jaccard")
    params |= {"labels": params["labels"] | {"distance": CA}, "first_k2": {"intra": 2, "inter": 3}}
    algorithm = made(CAJaccardContrast, params)
    cameras = algorithm.run.unlabeled.cameras
    for epoch, k2 in ((0, (2, 3)), (1, (1, 2))):
        features = learning.extract.features(algorithm.network, algorithm.run.unlabeled, "float32")
        next(iter(algorithm.begin_epoch(epoch)))
        expected = cluster(ca_jaccard_distance(features, cameras, 3, 6, *k2, 0.6), 0.6, 2)
        np.testing.assert_array_equal(algorithm.labels, expected)
    assert algorithm.run.cameras_used


@pytest.mark.parametrize(("cameras", "said"), [(np.full(48, -1), "come without"), (np.full(48, 4), "come from one")])
@pytest.mark.parametrize("method", ALGORITHMS)
def test_without_cameras_or_with_one_it_says_so(method: str, cameras: np.ndarray, said: str) -> None:
    algorithm = ALGORITHMS[method](method)
    algorithm.run.unlabeled._cameras = cameras
    with pytest.raises(UserError, match=said):
        next(iter(algorithm.begin_epoch(0)))


@pytest.mark.parametrize("method", sorted(shipped().methods))
def test_every_method_says_whether_it_needs_cameras(method: str) -> None:
    expected = method.startswith(("cluster-contrast-debiased", "ca-jaccard", "pplr-cam", "o2cap"))
    assert shipped().methods[method].needs_cameras == expected


@pytest.mark.parametrize("method", ALGORITHMS)
def test_a_camera_of_one_image_takes_part(method: str) -> None:
    algorithm = ALGORITHMS[method](method)
    algorithm.run.unlabeled._cameras = np.r_[9, np.arange(47) % 3]
    for batch in algorithm.begin_epoch(0):
        assert all(loss.isfinite() for loss in algorithm.step(batch).values())


# --- PPLR ------------------------------------------------------------------------------------------------------------


def suited(method: str) -> dict[str, Any]:
    """The shipped parameters for 48 images, of so few rows that there can be two parts."""
    params = params_of(method)
    if method == "ca-jaccard":
        params |= {"labels": params["labels"] | {"distance": CA}}
    if "parts" in params:
        params |= {"parts": 2, "agreement_neighbours": 5, "agreement_from": 0}
        assert shipped().resolved(Pairing(method, None, "drawn-summer", 0)).params["parts"] == 3
    return params


def higher(method: str, **changes: Any) -> PPLR:
    """PPLR on the same things twice as high: a map of two rows."""
    things, init = target(), build(network(), 0, CPU).state_dict()
    run = context(target=UnlabeledSet(things.images.repeat(2, 1), things.cameras, CPU), init=(init,), compute=compute())
    return PPLR(run, PPLR.Params.model_validate(suited(method) | changes))


def pplr(method: str = "pplr-cam", **changes: Any) -> tuple[PPLR, PartEmbedding, Tensor]:
    """PPLR in its first epoch, and embeddings of a batch."""
    algorithm = higher(method, **changes)
    (batch, *_) = algorithm.begin_epoch(0)
    generator = torch.Generator().manual_seed(0)
    d = algorithm.heads[0].weight.shape[1]
    whole = torch.randn(len(batch.index), d, generator=generator, requires_grad=True)
    parts = torch.randn(len(batch.index), 2, d, generator=generator, requires_grad=True)
    return algorithm, PartEmbedding(whole, parts), batch.index


def test_pplr_losses_are_their_formulas() -> None:
    algorithm, embedding, index = pplr()
    losses = algorithm.loss(embedding, index)
    labels, agreement = algorithm.labels[index].tolist(), algorithm.agreement[index].double().numpy()
    refined = smoothed = 0.0
    for i, label in enumerate(labels):
        q = [probabilities(head.weight @ embedding.whole[i]) for head in algorithm.heads[:1]]
        q += [probabilities(algorithm.heads[1 + p].weight @ embedding.parts[i, p]) for p in range(2)]
        trust = np.exp(agreement[i]) / np.exp(agreement[i]).sum()
        hard = np.eye(len(q[0]))[label]
        target = 0.5 * hard + 0.5 * sum(trust[p] * q[1 + p] for p in range(2))
        refined -= (target * np.log(q[0])).sum() / len(labels)
        for p in range(2):
            uniform = np.full(len(hard), 1 / len(hard))
            divergence = (uniform * np.log(uniform / q[1 + p])).sum()
            smoothed += (agreement[i, p] * -np.log(q[1 + p][label]) + (1 - agreement[i, p]) * divergence) / (
                2 * len(labels)
            )
    assert losses["identity"].item() == pytest.approx(refined, rel=1e-5)
    assert losses["parts"].item() == pytest.approx(smoothed, rel=1e-5)
    triplet = learning.losses.softmax_triplet(embedding.whole, algorithm.labels[index])
    assert losses["triplet"].item() == pytest.approx(triplet.item(), rel=1e-6)
    features = [embedding.whole, *embedding.parts.unbind(1)]
    contrasts = [inter_camera(algorithm, f, c, index) for f, c in zip(features, algorithm.centers, strict=True)]
    cameras = contrasts[0] + (contrasts[1] + contrasts[2]) / 2
    assert losses["cameras"].item() == pytest.approx(cameras, rel=1e-4)
    total = refined + smoothed + triplet.item() + 0.5 * cameras
    assert losses["total"].item() == pytest.approx(total, rel=1e-5)


def inter_camera(algorithm: PPLR, features: Tensor, centers: Tensor, index: Tensor) -> float:
    """Their contrast, image by image; two hardest negatives."""
    total, proxies = 0.0, algorithm.proxies
    similarity = (normalize(features, dim=1) @ centers.T / 0.07).detach().double().numpy()
    labels, cameras = algorithm.labels[index].tolist(), algorithm.run.unlabeled.cameras[index.numpy()]
    for i, row in enumerate(similarity):
        positive = [
            p for p in range(len(row))
            if proxies.clusters[p] == labels[i] and proxies.cameras[p] != cameras[i]
        ]  # fmt: skip
        others = sorted((p for p in range(len(row)) if proxies.clusters[p] != labels[i]), key=lambda p: -row[p])
        chosen = positive + others[: algorithm.params.inter_camera.negatives]
        for p in positive:
            total -= np.log(np.exp(row[p]) / np.exp(row[chosen]).sum()) / len(positive)
    return float(total / len(index))


def test_pplr_smooths_evenly_at_first_and_without_weight_uses_no_cameras() -> None:
    algorithm, embedding, index = pplr("pplr", agreement_from=1)
    losses = algorithm.loss(embedding, index)
    assert "cameras" not in losses
    assert not algorithm.params.uses_cameras
    expected = np.mean(
        [
            learning.losses.smoothed_cross_entropy(
                embedding.parts[:, p] @ algorithm.heads[1 + p].weight.T, algorithm.labels[index], 0.1
            ).item()
            for p in range(2)
        ]
    )
    assert losses["parts"].item() == pytest.approx(expected, rel=1e-5)
    sure, embedding, index = pplr("pplr", refinement=1)
    hard = learning.losses.smoothed_cross_entropy(embedding.whole @ sure.heads[0].weight.T, sure.labels[index], 0)
    assert sure.loss(embedding, index)["identity"].item() == pytest.approx(hard.item(), rel=1e-6)


def test_pplr_teaches_every_part_and_evaluates_the_network_alone() -> None:
    algorithm = higher("pplr-cam")
    before = {name: value.clone() for name, value in algorithm.network.state_dict().items()}
    (batch, *_) = algorithm.begin_epoch(0)
    heads = [head.weight.clone() for head in algorithm.heads]
    algorithm.step(batch)
    after = algorithm.network.state_dict()
    assert all(not torch.equal(before[f"necks.{part}.weight"], after[f"necks.{part}.weight"]) for part in range(2))
    assert not torch.equal(before["network.neck.weight"], after["network.neck.weight"])
    assert all(not torch.equal(head.weight, old) for head, old in zip(algorithm.heads, heads, strict=True))
    assert algorithm.export().keys() == build(network(), 0, CPU).state_dict().keys()


def test_agreement_is_the_share_of_common_neighbours() -> None:
    spaces = [torch.from_numpy(clustered(seed, 60)) for seed in (1, 2)]
    spaces.append(spaces[0])
    found = cross_agreement(spaces, 7)
    near = [
        [set(sorted(set(range(60)) - {i}, key=lambda j: -float(space[i] @ space[j]))[:7]) for i in range(60)]
        for space in spaces
    ]
    for i in range(60):
        for part in (1, 2):
            expected = len(near[0][i] & near[part][i]) / len(near[0][i] | near[part][i])
            assert found[i, part - 1] == pytest.approx(expected)
    assert (found[:, 1] == 1).all()


def test_more_parts_than_the_map_has_rows() -> None:
    algorithm = higher("pplr", parts=4)
    with pytest.raises(UserError, match=r"4 parts, but .* of 32×8 has 2 rows: choose fewer parts, or higher images"):
        next(iter(algorithm.begin_epoch(0)))


# --- O2CAP -----------------------------------------------------------------------------------------------------------


def o2cap(**changes: Any) -> tuple[O2CAP, Tensor, Tensor]:
    """O2CAP in its first epoch; features of a batch, and their proxies."""
    algorithm = made(O2CAP, params_of("o2cap") | {"negatives": 4} | changes)
    (batch, *_) = algorithm.begin_epoch(0)
    features = torch.randn(len(batch.index), algorithm.memory.shape[1], generator=torch.Generator().manual_seed(1))
    return algorithm, normalize(features, dim=1).requires_grad_(), algorithm.proxies.of_image[batch.index]


def test_o2cap_losses_are_their_formulas() -> None:
    algorithm, features, own = o2cap()
    losses = algorithm.loss(features, own)
    similarity = (features @ algorithm.memory.T).detach().double().numpy()
    between = (algorithm.memory @ algorithm.memory.T).double().numpy()
    clusters, cameras = algorithm.proxies.clusters.numpy(), algorithm.proxies.cameras.numpy()
    offline, online = 0.0, 0.0
    for camera in set(cameras[own].tolist()):
        mine = [i for i in range(len(own)) if cameras[own[i]] == camera]
        for i in mine:
            row, proxies = similarity[i], range(len(clusters))
            same = [p for p in proxies if clusters[p] == clusters[own[i]]]
            others = sorted((p for p in proxies if p not in same), key=lambda p: -row[p])[:4]
            offline += contrast(row / 0.07, same, others) / len(mine)
            mixed = 0.15 * row + 0.85 * between[own[i]]
            best = [max((p for p in proxies if cameras[p] == c), key=lambda p: mixed[p]) for c in set(cameras)]
            near = sorted(best, key=lambda p: -mixed[p])[:3]
            others = sorted((p for p in proxies if p not in near), key=lambda p: -mixed[p])[:4]
            online += contrast(row / 0.07, near, others) / len(mine)
    assert losses["offline"].item() == pytest.approx(offline, rel=1e-4)
    assert losses["online"].item() == pytest.approx(online, rel=1e-4)
    assert losses["total"].item() == pytest.approx(offline + online, rel=1e-4)


def contrast(row: np.ndarray, positive: list[int], negative: list[int]) -> float:
    whole = np.exp(row[positive + negative]).sum()
    return float(np.mean([-np.log(np.exp(row[p]) / whole) for p in positive]))


@pytest.mark.parametrize(("off", "on"), [("offline", "online"), ("online", "offline")])
def test_o2cap_with_one_association_alone(off: str, on: str) -> None:
    algorithm, features, own = o2cap(**{f"{off}_weight": 0})
    losses = algorithm.loss(features, own)
    assert off not in losses
    assert losses["total"] == losses[on]


def test_o2cap_parts_clusters_by_camera_and_its_memory_follows_the_batch() -> None:
    algorithm = made(O2CAP, params_of("o2cap"))
    (batch, *_) = algorithm.begin_epoch(0)
    labels, cameras = algorithm.labels.numpy(), algorithm.run.unlabeled.cameras
    pairs = sorted({(label, camera) for label, camera in zip(labels, cameras, strict=True) if label >= 0})
    expected = [
        pairs.index((label, camera)) if label >= 0 else -1 for label, camera in zip(labels, cameras, strict=True)
    ]
    assert algorithm.proxies.of_image.tolist() == expected
    assert list(zip(algorithm.proxies.clusters.tolist(), algorithm.proxies.cameras.tolist(), strict=True)) == pairs
    own = algorithm.proxies.of_image[batch.index]
    assert (own.bincount()[own] == 4).all()  # as many images of each proxy
    before = algorithm.memory.clone()
    algorithm.step(batch)
    moved = (algorithm.memory != before).any(1)
    assert moved.nonzero()[:, 0].tolist() == own.unique().tolist()


# --- parts -----------------------------------------------------------------------------------------------------------


def test_stripes_are_means_of_rows_and_may_overlap() -> None:
    run = context(compute=compute(), target=UnlabeledSet(images(8, 64, 16), np.arange(8) % 2, CPU))
    whole = learning.parts.with_parts(run, learning.initialize.network(run, "network"), 3).eval()
    batch = run.unlabeled.plain(np.arange(8))
    with torch.no_grad():
        rows = whole.network.backbone(batch).mean(3)  # [8, d, 4]
        found = whole(batch)
    scale = 1 / np.sqrt(1 + 1e-5)  # a fresh BatchNorm in evaluation
    for part, (first, last) in enumerate([(0, 2), (1, 3), (2, 4)]):
        torch.testing.assert_close(found.parts[:, part], rows[:, :, first:last].mean(2) * scale)
    torch.testing.assert_close(found.normalized[:, 0], normalize(found.whole, dim=1))
