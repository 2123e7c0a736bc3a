"""What a run leaves behind: `record.json`, `metrics.json` and the attempts, as validated documents.

`results/runs/<key>/` holds `checkpoint.safetensors`, `history.csv` and `record.json` (written by `train`),
`metrics.json` and `queries.parquet` (written by `evaluate`). `results/attempts/<key>/` holds one document per attempt.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from harness.learning.normalization import Channels, Normalization
from harness.specs.base import Frozen
from harness.specs.dataset import RegimeName

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

CLUSTERS = "cluster"
"""The column of `queries.parquet` where there is no query: each training image's cluster, -1 = outlier."""
LABEL_FREE_COLUMNS = ("silhouette", "agreement", "camera_bias")
"""Columns of runs with pseudo-labels, made without any identity from the labels that the epoch trained on: mean
silhouette by centroids, ARI with the labels of the epoch before, NMI of clusters and cameras (harness.labels)."""

QUERY_COLUMNS = ("query", "path", "identity", "camera", "ap", "first_hit", "gallery", "correct", "match_ranks")
"""`queries.parquet`, one row per query: index in the query split, image path relative to the dataset's folder,
identity, camera, AP in [0, 1] (null without a match), rank of the first hit (from 1, null without a match), the
top-k valid gallery items as indices into the gallery split (list<int32>) with whether each is right (list<bool>), and
the ranks of all right items among the valid ones (list<int32>), from which every score of `metrics.json` follows."""

DRAW = "draw"
"""A further column of `queries+<variant>.parquet`: which of several random draws a row belongs to, from 0. Indices are
then those of all test images, query split before gallery, copies left out."""

QUERY_EXTRAS = ("similarity", "matches", "match_similarity", "wrong")
"""Columns of `queries.parquet` that explain a ranking and that no score needs: the cosine of each of the top-k; the
right gallery items by rank, with their cosines; how often wrong gallery items, spread evenly over the gallery, have a
cosine in each of `WRONG_BINS` bins of [-1, 1]."""
WRONG_BINS = 40


class Hardware(Frozen):
    """What the run was computed on; no host name and no path."""

    device: str = Field(description="for example 'cpu (AMD EPYC)' or 'NVIDIA H200'")
    threads: int
    platform: str


class Weights(Frozen):
    """The file of published weights that a run started from."""

    file: str
    sha256: str


class Search(Frozen):
    """How the neighbours behind the pseudo-labels were searched."""

    search: str = Field(description="'exact', 'exact on cuda' or 'hnsw'")
    recall: float = Field(description="the lowest share of true neighbours found in any epoch; 1 for an exact search")


Percent = Annotated[float, Field(ge=0, le=100)]


class Input(Frozen):
    """What the network takes: RGB images of this size, resized bicubically in 8 bits, then (x / 255 - mean) / std."""

    height: int
    width: int
    mean: Channels
    std: Channels

    @property
    def normalization(self) -> Normalization:
        """Mean and standard deviation, as the data take them."""
        return Normalization(self.mean, self.std)


class Chosen(Frozen):
    """The epoch that label-free figures of the training images chose, and its scores on the target in percent."""

    epoch: int
    map: Percent | None = Field(description="null: the target has no labeled test images")
    rank1: Percent | None
    rule: str = Field(description="fixed beforehand: see harness.labels.label_free")


class Record(Frozen):
    """How a run came about."""

    key: str
    method: str
    setting: Literal["supervised", "direct", "uda", "usl"]
    source: str | None
    target: str
    seed: int
    regime: RegimeName
    spec: dict[str, Any] = Field(description="the resolved method: algorithm, init, compute, params")
    spec_hash: str
    code_version: str = Field(description="git commit, with '+' when the tree had changes, or the package version")
    code_hash: str = Field(default="", description="of all source files that could change a number of this run")
    input: Input | None = Field(default=None, description="absent in records older than this field")
    data_hashes: dict[str, str] = Field(description="dataset name -> hash of its manifest")
    init: tuple[str, ...] = Field(description="keys of the runs it started from, a file, or 'imagenet' / 'random'")
    weights: Weights | None = Field(default=None, description="where `init` is 'imagenet' or a file: which")
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
    train_cameras: bool | None = Field(default=None, description="whether camera labels were used in training")
    chosen_without_labels: Chosen | None = Field(
        default=None, description="the epoch chosen without labels; empty if the run made no pseudo-labels"
    )
    checkpoint_sha256: str = Field(default="", description="of the checkpoint's tensors, as stated in its own header")
    history_sha256: str = Field(default="", description="of the file history.csv")
    notes: tuple[str, ...] = Field(default=(), description="what a reader must know, e.g. epochs that kept old labels")
    sha256: str = Field(default="", description="of the other fields, as JSON with sorted keys")


class Scores(Frozen):
    """Percent, protocol `reid-v1`."""

    map: Percent
    rank1: Percent
    rank5: Percent
    rank10: Percent
    minp: Percent
    map_trapezoid: Percent


class Best(Frozen):
    """The papers' habit: the epoch that was best on the test set. Never the headline."""

    epoch: int
    map: Percent
    rank1: Percent


class LabelFree(Frozen):
    """`metrics.json` of a target without labeled test images: what the last epoch's history says, never an mAP."""

    unlabeled: Literal[True] = True
    images: int
    clusters: int | None = Field(description="of this and what follows, null: the run made no pseudo-labels")
    outliers: float | None = Field(description="share of images without a pseudo-label")
    silhouette: float | None
    agreement: float | None = Field(description="ARI with the labels of the epoch before")
    camera_bias: float | None = Field(description="NMI of clusters and cameras; 0 is best")
    record_sha256: str
    checkpoint_sha256: str
    sha256: str = Field(default="", description="of the other fields, as JSON with sorted keys")


class Metrics(Scores):
    """`metrics.json`: the last epoch's scores on the target; beside them those of two other choices of the epoch."""

    protocol: str
    record_sha256: str = Field(default="", description="of the file record.json: the run that these scores belong to")
    checkpoint_sha256: str = Field(default="", description="what was evaluated, as the record states it")
    queries_sha256: str = Field(default="", description="of the file queries.parquet")
    queries: int
    queries_without_match: int
    gallery: int
    best_on_test: Best | None
    chosen_without_labels: Chosen | None = Field(default=None, description="empty if the run made no pseudo-labels")
    seconds: float = Field(description="wall time of the evaluation")
    sha256: str = Field(default="", description="of the other fields, as JSON with sorted keys")


class Ranking(Scores):
    """The scores of one ranking, and what it ranked."""

    queries: int
    queries_without_match: int
    gallery: int


class VariantMetrics(Ranking):
    """`metrics+<variant>.json`: the same run by a variant of the protocol, never ranked among its plain scores.

    Of several random draws the scores are means, and queries are counted over all of them.
    """

    protocol: str
    transductive: bool = Field(description="whether a query's answer depends on the other test images")
    test_cameras: bool = Field(description="whether camera labels of the test images change the ranking")
    parameters: dict[str, float] = Field(default={}, description="of its steps and designs")
    draws: tuple[Ranking, ...] = Field(default=(), description="each, where several are averaged")
    record_sha256: str
    checkpoint_sha256: str
    queries_sha256: str = Field(description="of the file queries+<variant>.parquet")
    seconds: float = Field(description="wall time of the evaluation")
    sha256: str = Field(default="", description="of the other fields, as JSON with sorted keys")

    @property
    def rankings(self) -> tuple[Ranking, ...]:
        """Every ranking that the scores are a mean of."""
        return self.draws or (self,)


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
    process: str = Field(description="the process at work: number, start and boot of the machine")
