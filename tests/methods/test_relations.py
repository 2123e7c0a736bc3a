"""What a method becomes when its own parts are switched off, and how its parts add up."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
import torch._dynamo.utils
from torch import Tensor

from harness import learning
from harness.learning.algorithm import Algorithm, Losses
from harness.learning.data import UnlabeledBatch, UnlabeledSet
from harness.learning.networks import Embedding, build
from harness.specs import Pairing
from methods.cluster_baseline import ClusterBaseline
from methods.cluster_contrast import ClusterContrast
from methods.dkd_mpl import DKDMPL
from methods.mmt import MMT
from methods.peers import Peers
from methods.sskd import SSKD
from tests.learning.parts import CPU, compute, context, network
from tests.pipeline.tiny import shipped

CLASSES, PER_CLASS = 8, 6


def target() -> UnlabeledSet:
    """Images of eight things: each has a colour of its own above and below, so that they cluster from the start."""
    rng = np.random.default_rng(0)
    things = np.repeat(rng.integers(0, 256, (CLASSES, 2, 1, 3)), PER_CLASS, axis=0).repeat(8, axis=1).repeat(8, axis=2)
    noisy = np.clip(things + rng.normal(0, 12, things.shape), 0, 255).astype(np.uint8)
    return UnlabeledSet(noisy, np.arange(len(noisy)) % 3, CPU)


def params_of(method: str) -> dict[str, Any]:
    """The shipped parameters, with labels that suit 48 images."""
    params: dict[str, Any] = shipped().resolved(Pairing(method, *task_of(method), 0)).model_dump()["params"]
    suited = {"k1": 6, "k2": 2, "min_samples": 2, "eps": 0.6, "rho": 0.1}
    for part in params.get("labels", {}).values():
        if isinstance(part, dict):
            part.update({key: suited[key] for key in part if key in suited})
    return params


def task_of(method: str) -> tuple[str | None, str]:
    needs_source = shipped().methods[method].setting == "uda"
    return ("drawn-winter" if needs_source else None), "drawn-summer"


def made(algorithm: type[Algorithm], params: dict[str, Any], starts: tuple[int, ...] = (0,)) -> Any:
    """An algorithm on `target`, started from random networks with the given seeds."""
    init = tuple(build(network(), seed, CPU).state_dict() for seed in starts)
    return algorithm(context(target=target(), init=init, compute=compute()), algorithm.Params.model_validate(params))


def trained(algorithm: Algorithm) -> dict[str, Tensor]:
    """The exported weights after two epochs, each of which found clusters."""
    for epoch in range(2):
        for batch in algorithm.begin_epoch(epoch):
            assert int(algorithm.labels.max()) > 1  # type: ignore[attr-defined]
            algorithm.step(batch)
    return algorithm.export()


def differ(a: dict[str, Tensor], b: dict[str, Tensor]) -> list[str]:
    assert a.keys() == b.keys()
    return [name for name in a if not torch.equal(a[name], b[name])]


# --- DKD-MPL -----------------------------------------------------------------------------------------------------


def test_dkd_mpl_without_its_distillations_is_cluster_contrast_bit_for_bit() -> None:
    off = params_of("dkd-mpl") | {"gkd_weight": 0, "skd_weight": 0}
    plain = trained(made(ClusterContrast, params_of("cluster-contrast")))
    assert differ(trained(made(DKDMPL, off)), plain) == []
    for one in ({"gkd_weight": 0.25}, {"skd_weight": 0.25}):
        assert differ(trained(made(DKDMPL, off | one)), plain)


def test_dkd_mpl_differs_from_cluster_contrast_by_its_distillations_alone() -> None:
    names = ("dkd-mpl", "cluster-contrast")
    ours, base = (shipped().resolved(Pairing(name, None, "drawn-summer", 0)) for name in names)
    assert (ours.compute, ours.init) == (base.compute, base.init)
    params = base.model_dump()["params"]
    assert {key: value for key, value in ours.model_dump()["params"].items() if key in params} == params


def softened(logits: Tensor, temperature: float) -> np.ndarray:
    scaled = np.exp(logits.detach().double().numpy() / temperature)
    return np.asarray(scaled / scaled.sum(1, keepdims=True))


def test_dkd_mpl_distils_the_epochs_clustering_and_the_anchor_into_the_query() -> None:
    params = params_of("dkd-mpl") | {"gkd_weight": 0.5, "skd_weight": 2}
    algorithm = made(DKDMPL, params)
    (batch, *_) = algorithm.begin_epoch(0)
    labels = algorithm.labels[batch.index]
    query = torch.nn.functional.normalize(torch.randn(len(labels), algorithm.memory.shape[1]), dim=1)
    algorithm.memory = torch.nn.functional.normalize(algorithm.memory + 0.1, dim=1)  # as if it had moved since
    losses = algorithm.loss(batch, query, labels)

    temperature, tau = params["distillation_temperature"], params["temperature"]
    student = softened(query @ algorithm.memory.T / tau, temperature)
    epoch = softened(algorithm.features[batch.index] @ algorithm.epoch_centroids.T / tau, temperature)
    anchor = softened(algorithm.memory[labels] @ algorithm.memory.T / tau, temperature)
    for name, teacher in (("gkd", epoch), ("skd", anchor)):
        divergence = (teacher * np.log(teacher / student)).sum(1).mean() * temperature**2
        assert losses[name].item() == pytest.approx(divergence, rel=1e-4)
    contrast = -np.log(softened(query @ algorithm.memory.T / tau, 1))[np.arange(len(labels)), labels.numpy()].mean()
    total = contrast + 0.5 * losses["gkd"].item() + 2 * float(losses["skd"])
    assert losses["total"].item() == pytest.approx(total, rel=1e-4)


# --- MMT and SSKD ------------------------------------------------------------------------------------------------


class IdentityAlone(ClusterBaseline):
    """Identity learning on the clusters of one network, and nothing else."""

    def step(self, batch: UnlabeledBatch) -> Losses:
        labels = self.labels[batch.index]
        logits = self.classifier(self.network(batch.views[0]).neck)
        total = learning.losses.smoothed_cross_entropy(logits, labels, self.params.label_smoothing)
        learning.optim.minimize(total, self.optimizer)
        return {"total": total}


SSKD_OFF = {"soft_weight": 0, "views": "same", "multi_similarity": {"weight": 0}, "nuclear_norm_weight": 0}


def sskd_params(**changes: Any) -> dict[str, Any]:
    params = params_of("sskd")
    changes["multi_similarity"] = params["multi_similarity"] | changes.get("multi_similarity", {})
    return params | changes


def test_sskd_without_its_extras_on_one_view_is_plain_identity_learning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three equal peers whose teachers are their students do what one network does, bit for bit."""
    peers = trained(made(SSKD, sskd_params(**SSKD_OFF, teacher_momentum=0), starts=(0, 0, 0)))
    of_one = learning.extract.features
    monkeypatch.setattr(learning.extract, "features", lambda *given: learning.extract.mean([of_one(*given)] * 3))
    params = params_of("uda-baseline") | {"labels": sskd_params()["labels"], "label_smoothing": 0.1}
    assert differ(peers, trained(made(IdentityAlone, params))) == []
    assert differ(peers, dict(build(network(), 0, CPU).state_dict()))


@cache
def sskd_off() -> dict[str, Tensor]:
    return trained(made(SSKD, sskd_params(**SSKD_OFF), starts=(0, 1, 2)))


@pytest.mark.parametrize(
    "extra", [{"soft_weight": 0.5}, {"multi_similarity": {"weight": 3}}, {"nuclear_norm_weight": 1.5}, {"views": "own"}]
)
def test_each_extra_of_sskd_changes_what_is_learned(extra: dict[str, Any]) -> None:
    assert differ(trained(made(SSKD, sskd_params(**SSKD_OFF | extra), starts=(0, 1, 2))), sskd_off())


def embeddings(count: int, batch: int) -> Iterator[Embedding]:
    for _ in range(count):
        pooled = torch.randn(batch, network_width(), requires_grad=True)
        yield Embedding(pooled, pooled * 2 + 1)


def network_width() -> int:
    return build(network(), 0, CPU)(torch.zeros(2, 3, 16, 8)).pooled.shape[1]


def begun(algorithm: type[Peers], params: dict[str, Any]) -> tuple[Any, list[Embedding], list[Embedding], Tensor]:
    """Peers in their first epoch whose heads differ, embeddings of students and teachers, and labels."""
    peers = made(algorithm, params, starts=tuple(range(params["peers"])))
    (batch, *_) = peers.begin_epoch(0)
    for head in (*peers.heads, *peers.teacher_heads):
        torch.nn.init.normal_(head.weight, std=0.2)
    labels = peers.labels[batch.index]
    students, teachers = (list(embeddings(params["peers"], len(labels))) for _ in range(2))
    return peers, students, teachers, labels


def test_sskd_students_learn_from_the_next_ones_teacher() -> None:
    params = sskd_params()
    sskd, students, teachers, labels = begun(SSKD, params)
    losses = sskd.loss(students, teachers, labels)
    z = [head(student.neck) for head, student in zip(sskd.heads, students, strict=True)]
    t = [head(teacher.neck) for head, teacher in zip(sskd.teacher_heads, teachers, strict=True)]
    soft = sum(
        -(softened(t[teacher], 1) * np.log(softened(z[student], 1))).sum(1).mean()
        for student, teacher in ((0, 1), (1, 2), (2, 0))
    )
    norms = sum(np.linalg.svd(softened(logits, 1), compute_uv=False).sum() / len(labels) for logits in z)
    assert losses["soft"].item() == pytest.approx(soft, rel=1e-4)
    assert losses["nuclear_norm"].item() == pytest.approx(-norms, rel=1e-4)
    total = 0.5 * losses["identity"] + 0.5 * losses["soft"] + 3 * losses["multi_similarity"]
    assert losses["total"].item() == pytest.approx((total + 1.5 * losses["nuclear_norm"]).item(), rel=1e-5)
    losses["total"].backward()
    assert all(student.pooled.grad is not None for student in students)
    assert all(teacher.pooled.grad is None for teacher in teachers)


def test_mmt_students_learn_from_each_others_teacher() -> None:
    mmt, students, teachers, labels = begun(MMT, params_of("mmt"))
    losses = mmt.loss(students, teachers, labels)
    z = [head(student.neck) for head, student in zip(mmt.heads, students, strict=True)]
    t = [head(teacher.neck) for head, teacher in zip(mmt.teacher_heads, teachers, strict=True)]
    soft = sum(-(softened(t[1 - k], 1) * np.log(softened(z[k], 1))).sum(1).mean() for k in (0, 1))
    triplet = learning.losses.soft_softmax_triplet
    soft_triplet = sum(triplet(students[k].pooled, teachers[1 - k].pooled, labels).item() for k in (0, 1))
    assert losses["soft_identity"].item() == pytest.approx(soft, rel=1e-4)
    assert losses["soft_triplet"].item() == pytest.approx(soft_triplet, rel=1e-5)
    total = 0.5 * losses["identity"] + 0.5 * soft + 0.2 * losses["triplet"] + 0.8 * soft_triplet
    assert losses["total"].item() == pytest.approx(total.item(), rel=1e-4)
    losses["total"].backward()
    assert all(student.pooled.grad is not None for student in students)
    assert all(teacher.pooled.grad is None for teacher in teachers)
