"""What a run leaves behind: `record.json`, `metrics.json` and the attempts, as validated documents.

`results/runs/<key>/` holds `checkpoint.safetensors`, `history.csv` and `record.json` (written by `train`),
`metrics.json` and `queries.parquet` (written by `evaluate`). `results/attempts/<key>/` holds one document per attempt.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from harness.specs.base import Frozen

HISTORY_COLUMNS = (
    "epoch",  # from 1
    "loss",  # the total; each part stands in a column loss_<part>
    "learning_rate",
    "clusters",
    "outliers",  # share of images without a pseudo-label
    "ari",  # diagnostics: they use hidden identities, which training code cannot reach
    "nmi",
    "purity",
    "target_map",  # percent, empty where the epoch was not evaluated
    "target_rank1",
    "seconds",
    "images_per_second",
)
"""Columns of `history.csv` that every run has (empty where they do not apply)."""

QUERY_COLUMNS = ("query", "path", "identity", "camera", "ap", "first_hit", "gallery", "correct")
"""`queries.parquet`, one row per query: index in the query split, image path relative to the dataset's folder,
identity, camera, AP in [0, 1] (null without a match), rank of the first hit (from 1, null without a match), and the
top-k valid gallery items as indices into the gallery split (list<int32>) with whether each is right (list<bool>)."""


class Hardware(Frozen):
    """What the run was computed on; no host name and no path."""

    device: str = Field(description="for example 'cpu (AMD EPYC)' or 'NVIDIA H200'")
    threads: int
    platform: str


class Search(Frozen):
    """How the neighbours behind the pseudo-labels were searched."""

    search: str = Field(description="'exact', 'exact on cuda' or 'hnsw'")
    recall: float = Field(description="the lowest share of true neighbours found in any epoch; 1 for an exact search")


class Record(Frozen):
    """How a run came about."""

    key: str
    method: str
    setting: Literal["supervised", "direct", "uda", "usl"]
    source: str | None
    target: str
    seed: int
    regime: Literal["paper", "drawn"]
    spec: dict[str, Any] = Field(description="the resolved method: algorithm, init, compute, params")
    spec_hash: str
    code_version: str = Field(description="git commit, with '+' when the tree had changes, or the package version")
    data_hashes: dict[str, str] = Field(description="dataset name -> hash of its manifest")
    init: tuple[str, ...] = Field(description="keys of the runs it started from, or 'imagenet' / 'random'")
    init_sha256: tuple[str, ...] = Field(
        default=(), description="SHA-256 of the tensors of each of them, in that order"
    )
    protocol: str
    bn_groups: int
    precision: str
    hardware: Hardware
    versions: dict[str, str]
    started: datetime
    seconds: float = Field(description="wall time of all attempts that led to this result")
    cpu_seconds: float
    gpu_seconds: float = Field(description="wall time on a GPU; 0 on a CPU")
    peak_memory_gib: float = Field(description="peak of the device (GPU) or of the process (CPU)")
    images_per_second: float | None
    epochs: int
    neighbours: Search | None = Field(default=None, description="empty if the run made no pseudo-labels")
    resumed: int = Field(default=0, description="how often the run was interrupted and resumed")
    notes: tuple[str, ...] = Field(default=(), description="what a reader must know, e.g. epochs that kept old labels")


class Scores(Frozen):
    """Percent, protocol `reid-v1`."""

    map: float
    rank1: float
    rank5: float
    rank10: float
    minp: float
    map_trapezoid: float


class Best(Frozen):
    """The papers' habit: the epoch that was best on the test set. Never the headline."""

    epoch: int
    map: float
    rank1: float


class Chosen(Frozen):
    """The epoch that label-free figures of the training images chose, by a rule that was fixed beforehand."""

    epoch: int
    map: float
    rank1: float
    rule: str


class Metrics(Scores):
    """`metrics.json`: the last epoch's scores on the target; beside them those of two other choices of the epoch."""

    protocol: str
    queries: int
    queries_without_match: int
    gallery: int
    best_on_test: Best | None
    chosen_without_labels: Chosen | None = Field(default=None, description="empty if the run made no pseudo-labels")
    seconds: float = Field(description="wall time of the evaluation")


class Attempt(Frozen):
    """One try to train or evaluate a run, successful or not (outside DVC: a failed stage leaves nothing there)."""

    key: str
    stage: Literal["train", "evaluate"]
    spec_hash: str
    status: Literal["running", "finished", "failed", "interrupted"]
    reason: str = Field(
        default="", description="exit class: out-of-memory, nan, no-clusters, bad-input, disk, error, …"
    )
    message: str = ""
    log_tail: str = ""
    device: str
    started: datetime
    updated: datetime
    seconds: float
    epoch: int = 0
    epochs: int = 0
    pid: int
