"""A small registry to break: two datasets and three methods in a folder of their own."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.commands.check import check_project
from harness.pipeline.pipelines import write_plan
from harness.pipeline.plan import plan_pairings
from harness.specs import Registry

DATASET = """\
name: {name}
title: A small dataset
kind: person
regime: drawn
role: task
starter: false
image: {{height: 32, width: 16}}
drawn:
  kind: person
  domain: {domain}
  seed: 0
  height: 32
  width: 16
  cameras: 4
  train: {{identities: 12, cameras: [3, 4], images: [2, 3]}}
  test: {{identities: 6, cameras: [3, 3], images: [2, 3]}}
  queries: 1
  distractors: 4
  junk: 2
  camera:
    white_balance: 0.03
    gamma: [0.95, 1.1]
    contrast: [0.95, 1.08]
    brightness: [0.95, 1.08]
    saturation: [0.95, 1.1]
    blur: [0.0, 0.4]
    noise: [0.0, 0.008]
    quality: [70, 95]
    pitch: [0, 12]
  image:
    tint: [1.0, 0.92, 0.8]
    view_concentration: 0.3
    illumination: 0.03
    jitter: 0.02
    scale: [0.92, 1.08]
    occlusion: 0.04
    companion: 0.05
layout:
  train: bounding_box_train
  query: query
  gallery: bounding_box_test
  pattern: '^(?P<id>-1|\\d{{4}})_c(?P<camera>\\d)s\\d_(?P<frame>\\d+)_\\d+\\.'
junk_ids: [-1]
distractor_ids: [0]
sources: [{source}]
access: {{homepage: '', license: free}}
citation: ''
"""
COMPUTE = """\
    compute:
      network: {backbone: {kind: narrow}, pooling: {kind: average}, bn_groups: 1}
      batch: {identities: 4, instances: 2}
      epochs: 2
      iterations: 2
      optimizer: {kind: adam, learning_rate: 0.001, weight_decay: 0.0005}
      schedule: {kind: constant}
      warmup: {epochs: 0, factor: 1}
      augment: {flip: 0.5, pad: 2, erase: 0, jitter: 0}
      precision: float32
      evaluate_every: 1
"""
METHODS = {
    "teacher": f"""\
name: teacher
title: A supervised method
description: One that others start from.
role: method
starter: false
judged_against: []
setting: supervised
algorithm: methods.supervised:Supervised
params:
  label_smoothing: 0.1
  triplet_margin: 0.3
  triplet_on: pooled
  cosine_scale: 0
regimes:
  drawn:
    init: random
{COMPUTE}    targets:
      autumn: {{params: {{label_smoothing: 0.2}}}}
""",
    "clusters": f"""\
name: clusters
title: An unsupervised method
description: One that clusters.
role: method
starter: false
judged_against: [moved]
setting: usl
algorithm: methods.cluster_contrast:ClusterContrast
params:
  temperature: 0.05
  memory: {{momentum: 0.1, hard: false}}
  labels:
    distance: {{kind: jaccard, k1: 8, k2: 3}}
    clustering: {{kind: dbscan, eps: 0.5, min_samples: 2}}
regimes:
  drawn:
    init: {{method: teacher, dataset: autumn, seeds: [0]}}
{COMPUTE}""",
    "moved": f"""\
name: moved
title: A direct method
description: One that stays as it is.
role: method
starter: false
judged_against: []
setting: direct
algorithm: methods.as_is:AsIs
params: {{}}
regimes:
  drawn:
    init: {{method: teacher, seed_offsets: [0]}}
{COMPUTE}""",
}


@dataclass(frozen=True)
class Specs:
    """A folder of specs."""

    root: Path

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace `old`, which must stand in the file once."""
        file = self.root / path
        text = file.read_text()
        assert text.count(old) == 1, f"{path} holds {old!r} {text.count(old)} times"
        file.write_text(text.replace(old, new))

    def write(self, path: str, text: str) -> None:
        (self.root / path).write_text(text)

    def line(self, path: str, part: str) -> int:
        """The line (from 1) of the first `part` in a file."""
        text = (self.root / path).read_text()
        return text[: text.index(part)].count("\n") + 1

    def load(self) -> Registry:
        return Registry.load(self.root)

    def problems(self) -> list[str]:
        """What `harness check` says, line by line, with paths relative to the folder."""
        lines = [line for problem in check_project(self.load()) for line in problem.split("\n")]
        return [line.replace(f"{self.root}/", "") for line in lines]

    def plan(self) -> list[str]:
        registry = self.load()
        return write_plan(registry, plan_pairings(registry, [0]))


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The registry without a problem; tests only read it."""
    root = tmp_path_factory.mktemp("specs") / "project"
    specs = Specs(root)
    for folder in ("datasets", "methods"):
        (root / folder).mkdir(parents=True)
    specs.write("datasets/spring.yaml", DATASET.format(name="spring", domain="summer", source="autumn"))
    specs.write("datasets/autumn.yaml", DATASET.format(name="autumn", domain="winter", source="spring"))
    for name, text in METHODS.items():
        specs.write(f"methods/{name}.yaml", text)
    specs.plan()
    assert specs.problems() == []
    return root


@pytest.fixture
def specs(small: Path, tmp_path: Path) -> Specs:
    """The registry in a folder of the test's own, to be broken."""
    return Specs(shutil.copytree(small, tmp_path / "project"))
