"""Every spec in `datasets/` and `methods/`: valid, complete, and honest about where it comes from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from harness.commands.check import check_project
from harness.commands.schema import write_schemas
from harness.inputs.yaml import read_yaml
from harness.specs import Pairing, Registry, load_dataset, load_method
from harness.specs.compute import Compute
from harness.specs.registry import import_algorithm
from tests.methods.parts import defaults_of

PROJECT = Path(__file__).parents[2]
REGISTRY = Registry.load(PROJECT)
METHOD_FILES = sorted((PROJECT / "methods").glob("*.yaml"))
DATASET_FILES = sorted((PROJECT / "datasets").glob("*.yaml"))

methods = pytest.mark.parametrize("path", METHOD_FILES, ids=lambda path: path.stem)
datasets = pytest.mark.parametrize("path", DATASET_FILES, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The JSON Schemas by name."""
    paths = write_schemas(REGISTRY, tmp_path_factory.mktemp("schemas"))
    return {path.name.removesuffix(".schema.json"): json.loads(path.read_text()) for path in paths}


def tasks(method: str) -> list[Pairing]:
    """The method on every shipped dataset that it can run on."""
    return [
        Pairing(method, source, target, 0)
        for target, dataset in REGISTRY.datasets.items()
        for source in (None, *dataset.sources)
        if REGISTRY.incompatible(method, source, target) is None
    ]


def test_nothing_is_wrong_with_the_project() -> None:
    assert check_project(REGISTRY) == []


def test_a_file_registers_its_spec() -> None:
    assert set(REGISTRY.methods) == {path.stem for path in METHOD_FILES}
    assert set(REGISTRY.datasets) == {path.stem for path in DATASET_FILES}
    method, dataset = METHOD_FILES[0], DATASET_FILES[0]
    assert load_method(method) == load_method(method.stem, PROJECT) == REGISTRY.methods[method.stem]
    assert load_dataset(dataset) == load_dataset(dataset.stem, PROJECT) == REGISTRY.datasets[dataset.stem]


@methods
def test_a_method_states_every_hyper_parameter_of_every_run(path: Path) -> None:
    spec = REGISTRY.methods[path.stem]
    model = import_algorithm(spec.algorithm, path)
    assert list(defaults_of(model)) == []
    assert tasks(path.stem)
    for pairing in tasks(path.stem):
        stated = REGISTRY.merged(path.stem, pairing.target)
        resolved = REGISTRY.resolved(pairing)
        assert keys_of(resolved.params) == keys_of(stated["params"])
        assert keys_of(resolved.compute.model_dump()) == keys_of(stated["compute"])


def test_compute_has_no_hidden_defaults() -> None:
    assert list(defaults_of(Compute)) == []


def keys_of(mapping: dict[str, Any]) -> dict[str, Any]:
    """A nested mapping without its values."""
    return {key: keys_of(value) if isinstance(value, dict) else None for key, value in mapping.items()}


@methods
def test_a_method_names_its_paper_and_how_closely_it_follows_it(path: Path) -> None:
    spec = REGISTRY.methods[path.stem]
    if spec.role == "method" and spec.setting != "direct":
        assert spec.paper is not None
        assert spec.paper.doi or spec.paper.arxiv or spec.paper.url
    if spec.paper and spec.paper.fidelity == "reconstructed":
        assert spec.paper.choices
        assert all(choice.reason for choice in spec.paper.choices)


@methods
def test_a_method_says_what_it_has_to_beat(path: Path) -> None:
    spec = REGISTRY.methods[path.stem]
    assert spec.judged_against or spec.role != "ablation"
    assert path.stem not in spec.judged_against


@methods
def test_every_reported_figure_says_where_it_was_read(path: Path) -> None:
    for reported in REGISTRY.methods[path.stem].reported:
        assert reported.quoted_from.strip()
        assert reported.map is not None or reported.rank1 is not None


@methods
def test_a_method_fits_its_schema(path: Path, schemas: dict[str, Any]) -> None:
    jsonschema.validate(as_json(read_yaml(path)), schemas["method"])
    spec = REGISTRY.methods[path.stem]
    params = schemas["params-" + spec.algorithm.split(":")[1]]
    for pairing in tasks(path.stem):
        jsonschema.validate(as_json(REGISTRY.resolved(pairing).params), params)


@datasets
def test_a_dataset_fits_its_schema(path: Path, schemas: dict[str, Any]) -> None:
    jsonschema.validate(as_json(read_yaml(path)), schemas["dataset"])


@pytest.mark.parametrize(("key", "value"), [("setting", "unsupervised"), ("rolle", "method"), ("params", 3)])
def test_a_schema_finds_what_the_model_would(schemas: dict[str, Any], key: str, value: object) -> None:
    spec = as_json(read_yaml(PROJECT / "methods" / "cluster-contrast.yaml")) | {key: value}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(spec, schemas["method"])


@pytest.mark.parametrize("name", ["dataset", "method"])
def test_a_schema_asks_for_everything_but_from_what_extends(schemas: dict[str, Any], name: str) -> None:
    with pytest.raises(jsonschema.ValidationError, match="required"):
        jsonschema.validate({"name": "x"}, schemas[name])
    jsonschema.validate({"name": "x", "extends": "y"}, schemas[name])


def as_json(value: object) -> Any:
    return json.loads(json.dumps(value))


BUDGET_FREE = {"adabn"}
"""Headline methods of a setting with a budget of their own: AdaBN trains no weight, it only counts statistics."""


def test_on_the_drawn_benchmark_methods_of_a_setting_train_equally_long() -> None:
    """Where we decide the length, and not a publication, no comparison of methods is one of budgets."""
    budgets: dict[tuple[str, str], dict[str, tuple[int, int]]] = {}
    for name, spec in REGISTRY.methods.items():
        if spec.role != "method" or name in BUDGET_FREE:
            continue
        for pairing in tasks(name):
            if REGISTRY.datasets[pairing.target].regime == "drawn" and spec.setting in ("usl", "uda"):
                compute = REGISTRY.resolved(pairing).compute
                iterations = compute.epochs * compute.iterations
                budgets.setdefault((spec.setting, pairing.target), {})[name] = iterations, compute.batch.size
    assert {"sskd", "mmt", "uda-baseline", "spcl-uda"} <= budgets["uda", "drawn-summer"].keys()
    assert {"cluster-contrast", "dkd-mpl", "spcl"} <= budgets["usl", "drawn-vehicles"].keys()
    for task, found in budgets.items():
        assert len(set(found.values())) == 1, f"{task}: {found}"


def test_in_the_paper_regime_a_start_with_another_network_is_found(tmp_path: Path) -> None:
    """Cluster Contrast pools by GeM there; a source model does not, nor has it a ReLU in its stem."""
    for folder in ("methods", "datasets", "pipelines"):
        shutil.copytree(PROJECT / folder, tmp_path / folder)
    path = tmp_path / "methods" / "cluster-contrast-uda.yaml"
    network = "    compute: {network: {backbone: {stem_relu: false}, pooling: {kind: average}}}\n"
    text = path.read_text()
    assert text.count(network) == 1
    path.write_text(text.replace(network, ""))
    problems = check_project(Registry.load(tmp_path))
    said = [problem for problem in problems if "init: source-baseline trains" in problem]
    assert len(said) == 2
    assert all(problem.startswith("methods/cluster-contrast-uda.yaml:") for problem in said)
    assert "pooling {kind: average}, this method starts pooling {kind: gem}" in said[1]
