"""What every method must hold. A new method gets its checks by a subclass that names it."""

from __future__ import annotations

import json
import math
import shutil
import typing
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import BaseModel

from harness.data.prepared import open_prepared
from harness.paths import prepared_folder, work_file
from harness.pipeline.evaluate import evaluate
from harness.pipeline.records import Record
from harness.pipeline.training.train import train
from harness.specs import Pairing
from harness.specs.registry import import_algorithm
from tests.pipeline.tiny import Tiny, history, interrupt_in_epoch, same_weights, silent, weights


class MethodCase:
    """A method of the drawn regime, on a tiny task."""

    method: ClassVar[str]

    @pytest.fixture(scope="class")
    @classmethod
    def project(cls, tiny: Tiny) -> Tiny:
        """The project that knows the method."""
        return tiny

    @pytest.fixture(scope="class")
    @classmethod
    def pairing(cls, project: Tiny) -> Pairing:
        return project.pairing(cls.method)

    @pytest.fixture(scope="class")
    @classmethod
    def trained(cls, project: Tiny, pairing: Pairing) -> Path:
        """The folder of a run that nothing disturbed."""
        return project.trained(pairing)

    def test_trains_with_finite_losses_and_weights(self, project: Tiny, pairing: Pairing, trained: Path) -> None:
        compute = project.registry.resolved(pairing).compute
        rows = history(trained)
        assert [int(row["epoch"]) for row in rows] == list(range(1, compute.epochs + 1))
        stated = [float(value) for row in rows for value in row.values() if value]
        assert all(math.isfinite(value) for value in stated)
        assert all(tensor.isfinite().all() for tensor in weights(trained).values())

    def test_its_record_says_how_it_came_about(self, project: Tiny, pairing: Pairing, trained: Path) -> None:
        record = Record.model_validate_json((trained / "record.json").read_text())
        starts = tuple(start.key for start in project.registry.init_pairings(pairing))
        assert record.key == pairing.key
        assert record.init == starts or (not starts and record.init == ("random",))
        assert record.spec == project.registry.resolved(pairing).model_dump(mode="json")
        assert set(record.data_hashes) == {pairing.target} | ({pairing.source} if pairing.source else set())

    def test_its_checkpoint_gives_the_last_epochs_scores(self, project: Tiny, pairing: Pairing, trained: Path) -> None:
        metrics = evaluate(project.registry, pairing)
        assert json.loads((trained / "metrics.json").read_text()) == metrics.model_dump(mode="json")
        assert 0 < metrics.map <= 100
        for row in history(trained)[-1:]:
            assert metrics.map == pytest.approx(float(row["target_map"]), rel=1e-12)
            assert metrics.rank1 == pytest.approx(float(row["target_rank1"]), rel=1e-12)

    def test_a_seed_gives_the_same_bits_interrupted_or_not(
        self, project: Tiny, pairing: Pairing, trained: Path, tmp_path: Path
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

    def test_its_spec_states_every_parameter(self, project: Tiny) -> None:
        spec = project.registry.method(self.method)
        model = import_algorithm(spec.algorithm, project.registry.spec_files(self.method)[0])
        assert list(defaults_of(model)) == []


class UnlabeledMethodCase(MethodCase):
    """A method that must not see the target's identities."""

    def test_other_identities_of_the_target_change_no_weight(
        self, project: Tiny, pairing: Pairing, trained: Path, tmp_path: Path
    ) -> None:
        blind = project.fresh(tmp_path / "blind", pairing)
        (blind.root / "data").unlink()
        for name in filter(None, (pairing.source, pairing.target)):
            shutil.copytree(prepared_folder(project.root, name), prepared_folder(blind.root, name))
        shuffle_identities(prepared_folder(blind.root, pairing.target))
        assert same_weights(train(blind.registry, pairing, silent), trained)


def shuffle_identities(prepared: Path) -> None:
    """Give the training images of a prepared dataset one another's identities."""
    path = prepared / "manifest.parquet"
    table = pq.read_table(path)
    identities = table["identity"].to_numpy().copy()
    training = np.flatnonzero(table["split"].to_numpy(zero_copy_only=False) == "train")
    identities[training] = np.random.default_rng(0).permutation(identities[training])
    column = table.schema.get_field_index("identity")
    pq.write_table(table.set_column(column, "identity", pa.array(identities)), path)
    assert (open_prepared(prepared).split("train").ids == identities[training]).all()


def defaults_of(model: Any) -> Iterator[str]:
    """Yield every field, at any depth of a model, that a spec could leave out."""
    if isinstance(model, type) and issubclass(model, BaseModel):
        for name, field in model.model_fields.items():
            if not field.is_required():
                yield name
            yield from (f"{name}.{inner}" for inner in defaults_of(field.annotation))
    for part in typing.get_args(model):
        yield from defaults_of(part)
