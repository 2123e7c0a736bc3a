"""Makes small projects with valid results: specs, run folders, attempts, images."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from harness.data.prepare import prepare
from harness.evaluation.counting import Ranks
from harness.evaluation.ranking import score
from harness.evaluation.variants import parsed
from harness.inputs.json import SEAL, seal
from harness.pipeline.processes import this_process
from harness.pipeline.records import (
    HISTORY_COLUMNS,
    Attempt,
    Best,
    Hardware,
    Metrics,
    Ranking,
    Record,
    VariantMetrics,
)
from harness.specs import Registry, ResolvedMethod, parse_key
from harness.specs.resolve import fingerprint

COMPUTE = {
    "network": {"backbone": {"kind": "narrow"}, "pooling": {"kind": "average"}, "bn_groups": 1},
    "batch": {"identities": 4, "instances": 4},
    "epochs": 6,
    "iterations": 10,
    "optimizer": {"kind": "adam", "learning_rate": 0.00035, "weight_decay": 0.0005},
    "schedule": {"kind": "constant"},
    "warmup": {"epochs": 0, "factor": 1},
    "augment": {"flip": 0.5, "pad": 2, "erase": 0.5, "jitter": 0.1},
    "precision": "float32",
    "evaluate_every": 2,
}


HITS = 5


def _ranks(ap: NDArray[np.float64], gallery: int) -> NDArray[np.int64]:
    """Ranks [queries, HITS] of the right answers that give about this AP each."""
    hits = np.arange(1, HITS + 1)
    ranks = np.maximum.accumulate(np.rint(hits / ap[:, None]).astype(np.int64) - hits, axis=1) + hits
    return np.minimum(ranks, gallery - HITS + hits)


def sha256(path: Path) -> str:
    """The hash of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def reseal(folder: Path) -> None:
    """Let record and metrics vouch for the files of a run as they are, as a program that writes wrong files would."""
    for name, changes in (
        ("record.json", {"history_sha256": "history.csv"}),
        ("metrics.json", {"record_sha256": "record.json", "queries_sha256": "queries.parquet"}),
    ):
        document = json.loads((folder / name).read_text())
        document |= {field: sha256(folder / file) for field, file in changes.items()}
        document |= {SEAL: seal(document)}
        (folder / name).write_text(json.dumps(document))


STARTED = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Project:
    """A project folder under construction."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.hashes: dict[str, str] = {}
        for folder in ("datasets", "methods", "results"):
            (root / folder).mkdir(parents=True, exist_ok=True)

    def dataset(
        self, name: str, sources: tuple[str, ...] = (), title: str = "", regime: str = "drawn", **more: Any
    ) -> None:
        """Add a dataset spec."""
        counts = {"images": 40, "ids": 10, "cameras": 2}
        spec = {
            "name": name,
            "title": title or name.title(),
            "kind": "person",
            "regime": regime,
            "starter": False,
            "image": {"height": 64, "width": 32},
            "layout": {
                "train": "bounding_box_train",
                "query": "query",
                "gallery": "bounding_box_test",
                "pattern": r"(?P<id>-?\d+)_c(?P<camera>\d+)",
            },
            "junk_ids": [-1],
            "distractor_ids": [0],
            "sources": list(sources),
            "expect": {"train": counts, "query": counts, "gallery": counts},
            "access": {"homepage": "https://example.org", "license": "research only"},
            "citation": f"@inproceedings{{{name}, title={{{{The {name} set}}}}}}",
        } | more
        self._yaml(f"datasets/{name}.yaml", spec)

    def method(
        self, name: str, setting: str = "usl", title: str = "", reported: list[Any] | None = None, **more: Any
    ) -> None:
        """Add a method spec."""
        section = {"init": "imagenet", "compute": COMPUTE}
        spec = {
            "name": name,
            "title": title or name.replace("-", " ").title(),
            "description": f"What {name} does.",
            "role": "method",
            "starter": True,
            "judged_against": [],
            "setting": setting,
            "algorithm": "methods.some:Some",
            "params": {"temperature": 0.05},
            "regimes": {"drawn": section, "paper": section},
            "reported": reported or [],
        } | more
        self._yaml(f"methods/{name}.yaml", spec)

    def images(self, name: str, queries: int = 200, gallery: int = 60) -> None:
        """Draw the images of a dataset, a colour per identity, and prepare them."""
        generator = np.random.default_rng(3)
        colours = generator.integers(40, 215, (10, 3))
        raw = self.root / "data" / "raw" / name
        for folder, count in (("bounding_box_train", 40), ("query", queries), ("bounding_box_test", gallery)):
            (raw / folder).mkdir(parents=True)
            for i in range(count):
                noise = generator.integers(-40, 40, (64, 32, 3))
                pixels = np.clip(colours[i % 10] + noise, 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(raw / folder / f"{i % 10 + 1:04d}_c{i % 2 + 1}_{i:04d}.jpg")
        spec = Registry.load(self.root).dataset(name)
        self.hashes[name] = prepare(spec, raw, self.root / "data" / "prepared" / name, workers=1).data_hash

    def quoted(self, *methods: dict[str, Any]) -> None:
        """Write `reported.yaml`."""
        self._yaml("reported.yaml", {"methods": list(methods)})

    def plan(self, *keys: str) -> None:
        """Plan exactly these runs."""
        shutil.rmtree(self.root / "pipelines", ignore_errors=True)
        for method in {key.split("__")[0] for key in keys}:
            runs = "".join(f"      - {key}\n" for key in keys if key.startswith(f"{method}__"))
            path = self.root / "pipelines" / method / "dvc.yaml"
            path.parent.mkdir(parents=True)
            path.write_text(f"stages:\n  evaluate:\n    foreach:\n{runs}")

    def run(
        self,
        key: str,
        level: float = 0.5,
        queries: int = 200,
        gallery: int = 60,
        noise: int | None = None,
        unmatched: int = 0,
        cpu_seconds: float = 110.0,
    ) -> Path:
        """Add a finished run. Its AP is a difficulty per query (shared by all runs) shifted by `level`, plus noise."""
        pairing = parse_key(key)
        registry = Registry.load(self.root)
        folder = self.root / "results" / "runs" / key
        folder.mkdir(parents=True, exist_ok=True)
        spec = registry.merged(pairing.method, pairing.target)
        document = ResolvedMethod.model_validate(spec).model_dump(mode="json")
        own = np.random.default_rng(pairing.seed if noise is None else noise)
        wanted = np.random.default_rng(7).normal(level, 0.15, queries) + own.normal(0, 0.03, queries)
        matched = np.arange(queries) >= unmatched
        counts = np.where(matched, HITS, 0)
        ranks = _ranks(np.clip(wanted[matched], 0.01, 1), gallery)
        ranked = own.integers(0, gallery, (queries, 10))
        correct = np.zeros((queries, 10), bool)
        listed = ranks <= 10
        correct[np.repeat(np.flatnonzero(matched), HITS)[listed.ravel()], ranks[listed] - 1] = True
        result = score(iter([Ranks(counts, ranks.ravel(), ranked)]))
        names = sorted(f"query/{i % 10 + 1:04d}_c{i % 2 + 1}_{i:04d}.jpg" for i in range(queries))
        table = pa.table(
            {
                "query": pa.array(range(queries), pa.int32()),
                "path": names,
                "identity": pa.array([int(name[6:10]) for name in names], pa.int64()),
                "camera": pa.array([int(name[12]) for name in names], pa.int32()),
                "ap": pa.array(result.ap, pa.float64(), mask=~matched),
                "first_hit": pa.array(result.first_hit, pa.int32(), mask=~matched),
                "gallery": pa.array(ranked.tolist(), pa.list_(pa.int32())),
                "correct": pa.array(correct.tolist(), pa.list_(pa.bool_())),
                "match_ranks": pa.array(np.split(ranks.ravel(), np.cumsum(counts)[:-1]), pa.list_(pa.int32())),
            }
        )
        pq.write_table(table, folder / "queries.parquet")
        self._history(folder / "history.csv", 100 * result.map)
        record = Record(
            key=key, method=pairing.method, setting=spec["setting"], source=pairing.source, target=pairing.target,
            seed=pairing.seed, regime="drawn", spec=document, spec_hash=fingerprint(document), code_version="0" * 40,
            data_hashes={pairing.target: self.hashes.get(pairing.target, "d" * 16)},
            init=("imagenet",), protocol="reid-v1", bn_groups=1,
            precision="float32", hardware=Hardware(device="cpu (test)", threads=2, platform="Linux x86-64"),
            versions={"torch": "2.15.0"}, started=STARTED, seconds=61.5, cpu_seconds=cpu_seconds, gpu_seconds=0.0,
            peak_memory_gib=0.8, images_per_second=900.0, epochs=6,
            checkpoint_sha256="c" * 64, history_sha256=sha256(folder / "history.csv"),
            train_cameras=pairing.method != "direct-transfer",
        )  # fmt: skip
        (folder / "record.json").write_text(record.model_dump_json())
        metrics = Metrics(
            map=100 * result.map, rank1=100 * result.cmc[1], rank5=100 * result.cmc[5], rank10=100 * result.cmc[10],
            minp=100 * result.minp, map_trapezoid=100 * result.map_trapezoid,
            protocol="reid-v1", record_sha256=sha256(folder / "record.json"), checkpoint_sha256="c" * 64,
            queries_sha256=sha256(folder / "queries.parquet"), queries=result.n_valid,
            queries_without_match=unmatched, gallery=gallery, seconds=1.0,
            best_on_test=Best(epoch=4, map=min(100 * result.map + 0.4, 100), rank1=min(100 * result.cmc[1] + 0.2, 100)),
        )  # fmt: skip
        (folder / "metrics.json").write_text(metrics.model_dump_json())
        return folder

    def attempt(self, key: str, status: str = "failed", **more: Any) -> Path:
        """Add one attempt's document."""
        folder = self.root / "results" / "attempts" / key
        folder.mkdir(parents=True, exist_ok=True)
        values: dict[str, Any] = {
            "key": key, "stage": "train", "spec_hash": "x", "status": status, "device": "cpu (test)",
            "started": STARTED, "updated": datetime.now(UTC), "seconds": 12.0, "epoch": 3, "epochs": 6,
            "process": this_process(),
        }  # fmt: skip
        if status == "failed":
            values |= {"reason": "nan", "message": "the loss is not a number", "log_tail": "epoch 3 loss nan"}
        path = folder / f"{len(list(folder.iterdir()))}.json"
        path.write_text(Attempt.model_validate(values | more).model_dump_json())
        return path

    def _history(self, path: Path, score: float) -> None:
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*HISTORY_COLUMNS[:2], "loss_contrast", *HISTORY_COLUMNS[2:]])
            for epoch in range(1, 7):
                done = epoch / 6
                evaluated = [score * done, min(score * done + 20, 99)] if epoch % 2 == 0 else ["", ""]
                writer.writerow(
                    [epoch, 3 - 2 * done, 3 - 2 * done, 0.00035, 10 + epoch, 0.3 - 0.2 * done, 0.5 + 0.3 * done,
                     0.6 + 0.3 * done, 0.7 + 0.2 * done, *evaluated, 10.0, 900.0]
                )  # fmt: skip

    def variant(self, key: str, protocol: str, like: str) -> Path:
        """Score a finished run by a variant of the protocol: with the figures that another one, `like`, has."""
        folder, other = (self.root / "results" / "runs" / name for name in (key, like))
        variant, plain = parsed(protocol), json.loads((other / "metrics.json").read_text())
        table = pq.read_table(other / "queries.parquet")
        path = folder / f"queries{variant.suffix}.parquet"
        pq.write_table(table.append_column("draw", pa.array([0] * table.num_rows, pa.int32())), path)
        record = json.loads((folder / "record.json").read_text())
        metrics = VariantMetrics(
            **{name: plain[name] for name in Ranking.model_fields}, protocol=protocol,
            transductive=variant.transductive, test_cameras=variant.test_cameras,
            record_sha256=sha256(folder / "record.json"), checkpoint_sha256=record["checkpoint_sha256"],
            queries_sha256=sha256(path), seconds=1.0,
        )  # fmt: skip
        document = folder / f"metrics{variant.suffix}.json"
        document.write_text(metrics.model_dump_json())
        return document

    def _yaml(self, name: str, document: Any) -> None:
        (self.root / name).write_text(json.dumps(document, indent=1))  # JSON is YAML


def small_project(root: Path, images: bool = False) -> Project:
    """Three datasets (one with `images`), methods in several states, one quoted method."""
    project = Project(root)
    project.dataset("alpha", title="Alpha Street")
    project.dataset("beta", sources=("alpha",), title="Beta Square")
    project.dataset("market", regime="paper", title="Market-like")
    if images:
        project.images("beta")
    project.method("cluster-contrast", reported=[
        {"target": "market", "map": 82.6, "rank1": 93.0, "quoted_from": "Table 3", "verified": True}])  # fmt: skip
    project.method("cc-twin", role="ablation")
    project.method("supervised", "supervised")
    project.method("direct-transfer", "direct")
    project.method("uda-baseline", "uda")
    project.quoted(
        {"name": "spcl-plus", "title": "SpCL+", "setting": "usl",
         "reported": [{"target": "market", "map": 79.1, "quoted_from": "Table 4", "verified": False}]}
    )  # fmt: skip
    planned = [f"{m}__beta__s{s}" for m in ("cluster-contrast", "cc-twin", "supervised") for s in (0, 1, 2)]
    planned += [
        "direct-transfer__alpha-to-beta__s0",
        "uda-baseline__alpha-to-beta__s0",
        "uda-baseline__alpha-to-beta__s1",
    ]
    project.plan(*planned)
    for seed in (0, 1, 2):
        project.run(f"cluster-contrast__beta__s{seed}", 0.60)
        project.run(f"cc-twin__beta__s{seed}", 0.601, noise=10 + seed)
        project.run(f"supervised__beta__s{seed}", 0.80, cpu_seconds=300.0)
    project.run("direct-transfer__alpha-to-beta__s0", 0.30, cpu_seconds=5.0)
    project.attempt("uda-baseline__alpha-to-beta__s0", "failed")
    project.attempt("uda-baseline__alpha-to-beta__s1", "running")
    return project
