"""Every method that runs on the drawn benchmark holds what a method must hold, on a tiny task."""

from __future__ import annotations

import math
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from harness.inputs.json import sealed
from harness.paths import prepared_folder, work_file
from harness.pipeline.evaluate import evaluate
from harness.pipeline.records import Metrics, Record
from harness.pipeline.training.train import train
from harness.specs import Pairing
from harness.specs.registry import import_algorithm
from tests.methods.parts import defaults_of, shuffle_identities
from tests.pipeline.tiny import Tiny, drawn_methods, history, interrupt_in_epoch, same_weights, shipped, silent, weights

UNLABELED = [name for name in drawn_methods() if shipped().methods[name].setting in ("usl", "uda")]


@pytest.fixture
def project(tiny: Tiny) -> Tiny:
    """The project that knows every shipped method."""
    return tiny


@pytest.fixture(params=drawn_methods())
def pairing(request: pytest.FixtureRequest, project: Tiny) -> Pairing:
    """A method on its one task here."""
    return project.pairing(request.param)


@pytest.fixture
def trained(project: Tiny, pairing: Pairing) -> Path:
    """The folder of a run that nothing disturbed; trained once per session."""
    return project.trained(pairing)


def test_trains_with_finite_losses_and_weights(project: Tiny, pairing: Pairing, trained: Path) -> None:
    compute = project.registry.resolved(pairing).compute
    rows = history(trained)
    assert [int(row["epoch"]) for row in rows] == list(range(1, compute.epochs + 1))
    stated = [float(value) for row in rows for value in row.values() if value]
    assert all(math.isfinite(value) for value in stated)
    assert all(tensor.isfinite().all() for tensor in weights(trained).values())


def test_its_record_says_how_it_came_about(project: Tiny, pairing: Pairing, trained: Path) -> None:
    record = Record.model_validate_json((trained / "record.json").read_text())
    starts = tuple(start.key for start in project.registry.init_pairings(pairing))
    assert record.key == pairing.key
    assert record.init == starts or (not starts and record.init == ("random",))
    assert record.spec == project.registry.resolved(pairing).model_dump(mode="json")
    assert set(record.data_hashes) == {pairing.target} | ({pairing.source} if pairing.source else set())


def test_its_checkpoint_gives_the_last_epochs_scores(project: Tiny, pairing: Pairing, trained: Path) -> None:
    metrics = evaluate(project.registry, pairing)
    assert isinstance(metrics, Metrics)
    assert (trained / "metrics.json").read_text() == sealed(metrics)
    assert 0 < metrics.map <= 100
    for row in history(trained)[-1:]:
        assert metrics.map == pytest.approx(float(row["target_map"]), rel=1e-12)
        assert metrics.rank1 == pytest.approx(float(row["target_rank1"]), rel=1e-12)


def test_a_seed_gives_the_same_bits_interrupted_or_not(
    project: Tiny, pairing: Pairing, trained: Path, tmp_path: Path
) -> None:
    again = project.fresh(tmp_path / "again", pairing)
    with suppress(KeyboardInterrupt):
        train(again.registry, pairing, interrupt_in_epoch(2))
    interrupted = work_file(again.root, pairing.key).exists()
    folder = train(again.registry, pairing, silent)
    record = Record.model_validate_json((folder / "record.json").read_text())
    assert interrupted == bool(record.epochs)
    assert record.resumed == int(interrupted)
    assert same_weights(folder, trained)
    assert history(folder) == history(trained)


def test_its_spec_states_every_parameter(project: Tiny, pairing: Pairing) -> None:
    spec = project.registry.method(pairing.method)
    model = import_algorithm(spec.algorithm, project.registry.spec_files(pairing.method)[0])
    assert list(defaults_of(model)) == []


@pytest.mark.parametrize("pairing", UNLABELED, indirect=True)
def test_other_identities_of_the_target_change_no_weight(
    project: Tiny, pairing: Pairing, trained: Path, tmp_path: Path
) -> None:
    blind = project.fresh(tmp_path / "blind", pairing)
    (blind.root / "data").unlink()
    for name in filter(None, (pairing.source, pairing.target)):
        shutil.copytree(prepared_folder(project.root, name), prepared_folder(blind.root, name))
    shuffle_identities(prepared_folder(blind.root, pairing.target))
    assert same_weights(train(blind.registry, pairing, silent), trained)
