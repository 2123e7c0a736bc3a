"""The inspect stage on a tiny project."""

from pathlib import Path

import numpy as np
import pytest

from harness.errors import UserError
from harness.pipeline.inspect import inspect, principal
from harness.pipeline.training.train import train
from harness.specs import Registry
from harness.store.maps import read_map
from tests.pipeline.tiny import Tiny


def test_a_map_holds_places_and_clusters_of_the_training_images(tiny: Tiny, tmp_path: Path) -> None:
    pairing = tiny.pairing("colour-histogram")
    registry = Registry.load(tiny.fresh(tmp_path / "project", pairing).root)
    with pytest.raises(UserError, match="no such checkpoint"):
        inspect(registry, pairing, 100)
    train(registry, pairing, lambda _: None)
    inspect(registry, pairing, 40)
    found = read_map(registry.root, pairing.key)
    assert found is not None
    assert 0 < found.image.size <= 40
    assert 0 < found.explained <= 1
    assert np.isfinite(found.x).all()
    with pytest.raises(UserError, match="at least three images"):
        inspect(registry, pairing, 2)


def test_equal_features_give_equal_maps_up_to_their_order() -> None:
    features = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    places, explained = principal(features)
    again, _ = principal(features[::-1])
    np.testing.assert_allclose(places, again[::-1], atol=1e-6)
    assert 0 < explained < 1
    assert places[:, 0].var() >= places[:, 1].var()
