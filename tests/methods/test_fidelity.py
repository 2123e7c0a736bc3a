"""What a method takes over from its release, step by step: the order of things, and what its own baseline is."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch

from harness import learning
from harness.learning.algorithm import Algorithm
from harness.learning.networks import build
from harness.specs import Pairing
from methods.cluster_baseline import ClusterBaseline
from methods.mmt import MMT
from methods.source_models import MMTSource, SourceWithTargetStatistics, SSKDSource
from tests.learning.parts import CPU, compute, context, labeled, network, unlabeled
from tests.methods.test_relations import differ, made, params_of, trained
from tests.pipeline.tiny import shipped


@pytest.mark.parametrize(("name", "algorithm"), [("mmt-source", MMTSource), ("sskd-source", SSKDSource)])
def test_a_source_model_sees_the_target_before_its_gradient_step(name: str, algorithm: type[Algorithm]) -> None:
    """BatchNorm's statistics are of the weights before the step, first of the source batch, then of the target's."""
    params = shipped().resolved(Pairing(name, "drawn-winter", "drawn-summer", 0)).params
    run = context(source=labeled(), target=unlabeled(), init=(), compute=compute())
    model = algorithm(run, algorithm.Params.model_validate(params))
    assert isinstance(model, SourceWithTargetStatistics)
    source, target = next(model.begin_epoch(0))
    beside, head = deepcopy(model.network), deepcopy(model.classifier)
    model.step((source, target))
    with torch.no_grad():
        beside(source.views[0])
        beside(target.views[0])
    statistics = dict(beside.named_buffers())
    assert differ(dict(model.network.named_buffers()), statistics) == []
    assert not torch.equal(model.classifier.weight, head.weight)


def test_the_baseline_is_mmt_without_teachers_and_soft_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two equal peers that learn hard labels alone from one view do what the baseline's one network does."""
    off = {"soft_identity_weight": 0, "soft_triplet_weight": 0, "teacher_momentum": 0, "views": "same"}
    peers = trained(made(MMT, params_of("mmt") | off, starts=(0, 0)))
    of_one = learning.extract.features
    monkeypatch.setattr(learning.extract, "features", lambda *given: learning.extract.mean([of_one(*given)] * 2))
    assert differ(peers, trained(made(ClusterBaseline, params_of("uda-baseline")))) == []
    assert differ(peers, dict(build(network(), 0, CPU).state_dict()))


@pytest.mark.parametrize("target", ["market1501", "dukemtmc", "msmt17", "drawn-summer"])
def test_a_method_and_its_baseline_share_network_start_labels_and_length(target: str) -> None:
    source = {"drawn-summer": "drawn-winter", "market1501": "dukemtmc"}.get(target, "market1501")
    mmt, base, sskd = (shipped().resolved(Pairing(name, source, target, 0)) for name in ("mmt", "uda-baseline", "sskd"))
    assert base.params["labels"] == mmt.params["labels"]
    assert base.compute == mmt.compute
    assert base.compute.network == sskd.compute.network
    assert base.params["labels"]["distance"] == sskd.params["labels"]["distance"]
    assert (base.init.method, mmt.init.method) == ("mmt-source", "mmt-source")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("target", "images"),
    [("market1501", 12936), ("dukemtmc", 16522), ("msmt17", 32621), ("msmt17-train-only", 30248), ("veri776", 37778)],
)
def test_the_supervised_bound_passes_over_the_images_once_an_epoch(target: str, images: int) -> None:
    found = shipped().resolved(Pairing("supervised", None, target, 0)).compute
    assert found.iterations == images // found.batch.size
