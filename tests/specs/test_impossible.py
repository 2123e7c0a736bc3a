"""What `harness check` refuses although every spec is valid by itself, and mistakes in the regimes' bases."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.commands.check import without_cameras
from harness.commands.new_method import scaffold_method
from harness.data.prepare import prepare
from harness.drawn.dataset import draw_dataset
from harness.errors import UserError
from harness.paths import prepared_folder, raw_folder
from harness.specs import Pairing
from tests.specs.conftest import METHODS, Specs

CLUSTERS, TEACHER = "methods/clusters.yaml", "methods/teacher.yaml"
START = "init: {method: teacher, dataset: autumn, seeds: [0]}"
NARROW = "backbone: {kind: narrow}"
RESNET, AVERAGE = "{kind: resnet18, stem_relu: true}", "{kind: average}"
BASE = """\
# Shared.
compute:
  network: {backbone: {kind: narrow}, pooling: {kind: average}, bn_groups: 1}
  precision: float32
"""


def test_imagenet_weights_that_there_are_not(specs: Specs) -> None:
    specs.edit(CLUSTERS, START, "init: imagenet")
    line = specs.line(CLUSTERS, "init: imagenet")
    assert specs.problems() == [
        f"{CLUSTERS}:{line}: init: imagenet: there are no ImageNet weights for backbone 'narrow'"
    ]
    specs.edit(CLUSTERS, NARROW, "backbone: {kind: resnet18, stem_relu: true}")
    specs.plan()
    assert specs.problems() == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (NARROW, f"backbone: {RESNET}", f"backbone {{kind: narrow}}, this method starts backbone {RESNET}"),
        (f"pooling: {AVERAGE}", "pooling: {kind: gem}", f"pooling {AVERAGE}, this method starts pooling {{kind: gem}}"),
    ],
)
def test_a_start_with_another_network(specs: Specs, old: str, new: str, said: str) -> None:
    specs.edit(CLUSTERS, old, new)
    line = specs.line(CLUSTERS, "init:")
    assert specs.problems() == [f"{CLUSTERS}:{line}: init: teacher trains {said}: its weights do not fit"]


@pytest.mark.parametrize(("kind", "looks_at", "fewer"), [("jaccard", 8, 7), ("jaccard-reranking", 9, 6)])
def test_more_neighbours_than_images_are_expected(specs: Specs, kind: str, looks_at: int, fewer: int) -> None:
    specs.edit(CLUSTERS, "kind: jaccard,", f"kind: {kind},")
    dataset = "datasets/spring.yaml"
    text = (specs.root / dataset).read_text()
    counts = "{images: 8, ids: 3}"
    specs.write(dataset, text + f"expect: {{train: {counts}, query: {counts}, gallery: {counts}}}\n")
    line = specs.line(CLUSTERS, "distance:")
    said = f"params.labels.distance: {looks_at} neighbours, but spring has 8 images to train on: choose fewer"
    assert specs.problems() == [f"{CLUSTERS}:{line}: {said}"]
    specs.edit(CLUSTERS, "k1: 8", f"k1: {fewer}")
    specs.plan()
    assert specs.problems() == []


def test_more_neighbours_than_images_are_prepared_and_the_adjustment_that_says_so(specs: Specs) -> None:
    spring = specs.load().dataset("spring")
    assert spring.drawn is not None
    draw_dataset(spring.drawn, raw_folder(specs.root, "spring"))
    prepare(spring, raw_folder(specs.root, "spring"), prepared_folder(specs.root, "spring"), workers=1)
    specs.plan()
    assert specs.problems() == []
    text = (specs.root / CLUSTERS).read_text()
    specs.write(CLUSTERS, text + "    targets:\n      spring: {params: {labels: {distance: {k1: 500}}}}\n")
    (problem,) = specs.problems()
    line = specs.line(CLUSTERS, "spring: {params")
    assert problem.startswith(f"{CLUSTERS}:{line}: params.labels.distance: 500 neighbours, but spring has ")


SPCL = (
    METHODS["clusters"]
    .replace("name: clusters", "name: paced")
    .replace("methods.cluster_contrast:ClusterContrast", "methods.spcl:SpCL")
    .replace("  memory: {momentum: 0.1, hard: false}\n", "  memory_momentum: 0.2\n")
    .replace("  temperature: 0.05\n", "  temperature: 0.05\n  eps_gap: 0.02\n  independence_share: 0.9\n")
)


def test_a_radius_within_spcls_gap(specs: Specs) -> None:
    path = "methods/paced.yaml"
    specs.write(path, SPCL)
    specs.plan()
    assert specs.problems() == []
    specs.edit(path, "eps: 0.5", "eps: 0.01")
    assert specs.problems() == [
        f"{path}:{specs.line(path, 'params:')}: params: eps_gap 0.02 is not below eps 0.01 of labels.clustering: the "
        "tighter radius, eps - eps_gap, would not be positive"
    ]


def test_spcl_wants_a_clustering_with_a_radius(specs: Specs) -> None:
    path = "methods/paced.yaml"
    specs.write(path, SPCL.replace("kind: dbscan, eps: 0.5", "kind: hdbscan, min_cluster_size: 4"))
    problems = specs.problems()
    line = specs.line(path, "clustering:")
    assert f"{path}:{line}: params.labels.clustering.kind: Input should be 'dbscan' (found 'hdbscan')" in problems


@pytest.mark.parametrize("name", ["2024", "2024-11-25", "1.0", "1e3", "null", "true"])
def test_a_new_method_whose_name_yaml_would_not_read_back(specs: Specs, name: str) -> None:
    with pytest.raises(UserError, match="is not a valid name: YAML reads it as"):
        scaffold_method(specs.load(), name, "teacher", False)
    assert not (specs.root / "methods" / f"{name}.yaml").exists()


def test_a_name_that_is_no_text(specs: Specs) -> None:
    specs.write("methods/2024.yaml", METHODS["teacher"].replace("name: teacher", "name: 2024"))
    assert specs.problems() == ["methods/2024.yaml:1: name: YAML reads 2024 as int; choose another name"]


# --- methods/regimes/ -----------------------------------------------------------------------------------------------


@pytest.fixture
def based(specs: Specs) -> Specs:
    """The small registry whose regime has a base; each method states the rest."""
    (specs.root / "methods" / "regimes").mkdir()
    specs.write("methods/regimes/drawn.yaml", BASE)
    for path in (CLUSTERS, TEACHER, "methods/moved.yaml"):
        specs.edit(path, "      network: {backbone: {kind: narrow}, pooling: {kind: average}, bn_groups: 1}\n", "")
        specs.edit(path, "      precision: float32\n", "")
    specs.plan()
    return specs


def test_what_all_methods_share_is_stated_once(based: Specs) -> None:
    assert based.problems() == []
    files = [path.relative_to(based.root) for path in based.load().spec_files("clusters")]
    assert files == [Path(CLUSTERS), Path("methods/regimes/drawn.yaml")]


def test_a_mistake_in_a_base_is_said_once_and_where_it_stands(based: Specs) -> None:
    based.edit("methods/regimes/drawn.yaml", "bn_groups: 1", "bn_groups: 0")
    said = "regimes.drawn.compute.network.bn_groups: Input should be greater than 0 (found 0)"
    assert based.problems() == [f"methods/regimes/drawn.yaml:3: {said}"]


def test_what_a_base_leaves_out_is_missed_in_the_method(based: Specs) -> None:
    based.edit("methods/regimes/drawn.yaml", "  precision: float32\n", "")
    problem = next(problem for problem in based.problems() if problem.startswith(CLUSTERS))
    line = based.line(CLUSTERS, "    compute:")
    assert problem == f"{CLUSTERS}:{line}: regimes.drawn.compute.precision: required, but not stated"


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("drawn", BASE + "params: {}\n", "drawn.yaml:5: params: unknown key; valid: compute"),
        ("lunar", "compute: {}\n", "lunar.yaml: no regime is called 'lunar'; valid: drawn, paper"),
        ("drawn", "compute: {\n", "drawn.yaml:2: "),
    ],
)
def test_a_base_that_is_none(based: Specs, file: str, text: str, said: str) -> None:
    based.write(f"methods/regimes/{file}.yaml", text)
    (problem,) = based.problems()
    assert problem.startswith(f"methods/regimes/{said}")
    with pytest.raises(UserError, match=re.escape(said)):
        based.load().checked()


# --- cameras ---------------------------------------------------------------------------------------------------------

SPRING = "datasets/spring.yaml"
AWARE = "distance: {kind: ca-jaccard, k1_intra: 2, k1_inter: 3, k2_intra: 1, k2_inter: 2}"
NEEDS = "setting: usl\nneeds_cameras: true\n"


def aware(specs: Specs) -> None:
    """Make the unsupervised method one that needs cameras."""
    specs.edit(CLUSTERS, "distance: {kind: jaccard, k1: 8, k2: 3}", AWARE)
    specs.edit(CLUSTERS, "setting: usl\n", NEEDS)
    specs.plan()
    assert specs.problems() == []
    assert without_cameras(specs.load()) == {}


@pytest.mark.parametrize("cameras", [0, 1])
def test_a_method_that_needs_cameras_on_images_without(specs: Specs, cameras: int) -> None:
    aware(specs)
    text = (specs.root / SPRING).read_text()
    if cameras == 0:
        specs.edit(SPRING, "_c(?P<camera>\\d)s\\d", "_c\\ds\\d")
    else:
        counts = "{images: 40, ids: 3, cameras: 1}"
        specs.write(SPRING, text + f"expect: {{train: {counts}, query: {counts}, gallery: {counts}}}\n")
    said = "clusters uses the cameras of the images, and those of spring "
    said += "all come from one" if cameras else "come without"
    assert f"pipelines/clusters/dvc.yaml: clusters__spring__s0 cannot run any more: {said}; run: harness plan" in (
        specs.problems()
    )
    with pytest.raises(UserError, match=said):
        specs.load().resolved(Pairing("clusters", None, "spring", 0))
    specs.plan()
    assert specs.problems() == []
    assert without_cameras(specs.load()) == {"spring": ["clusters"]}
    assert {pairing.target for pairing in specs.load().planned.values() if pairing.method == "clusters"} == {"autumn"}


def test_a_method_that_needs_cameras_says_so_and_no_other(specs: Specs) -> None:
    aware(specs)
    specs.edit(CLUSTERS, NEEDS, "setting: usl\n")
    line = specs.line(CLUSTERS, "params:")
    said = "needs_cameras: is false, but the params do not work without cameras"
    assert specs.problems() == [f"{CLUSTERS}:{line}: {said}"]
    specs.edit(CLUSTERS, AWARE, "distance: {kind: jaccard, k1: 8, k2: 3}")
    specs.edit(CLUSTERS, "setting: usl\n", NEEDS)
    line = specs.line(CLUSTERS, "needs_cameras:")
    assert specs.problems() == [f"{CLUSTERS}:{line}: needs_cameras: is true, but the params use no cameras"]
