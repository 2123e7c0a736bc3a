"""Reading what variants of the protocol leave in a run's folder, checked as its plain scores are."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UserError
from harness.evaluation.variants import DESIGNS, parsed
from harness.inputs.files import read_bytes
from harness.inputs.json import parse_sealed
from harness.inputs.limits import TABLE_BYTES
from harness.inputs.parquet import parse_table
from harness.pipeline.records import DRAW, VariantMetrics
from harness.store.run_files import AGREEMENT, BrokenResultError, check_scores, query_types

if TYPE_CHECKING:
    from harness.evaluation.variants import Variant
    from harness.pipeline.trained import Trained

SCORES = ("map", "rank1", "rank5", "rank10", "minp", "map_trapezoid")


def variant_files(folder: Path) -> list[Path]:
    """Return the metrics of all variants in a run's folder, by name."""
    return sorted(folder.glob("metrics+*.json"))


def read_variant(path: Path, run: Trained, known: str = "") -> tuple[VariantMetrics, str]:
    """Read `metrics+<variant>.json` of `run`, check it against its queries, and return it with its hash.

    Of a document whose hash is `known` only the hash of the queries is checked again. Raises BrokenResultError.
    """
    try:
        document = read_bytes(path)
        digest = hashlib.sha256(document).hexdigest()
        metrics: VariantMetrics = parse_sealed(document, Path(path.name), VariantMetrics)
        variant = parsed(metrics.protocol)
        remedy = f"compute it again: {_command(path.parent.name, variant)}"
        if path.name != f"metrics{variant.suffix}.json":
            raise UserError(f"it holds scores by protocol {metrics.protocol}; {remedy}")
        if (metrics.transductive, metrics.test_cameras) != (variant.transductive, variant.test_cameras):
            raise UserError(f"what it says of {metrics.protocol} is not so; {remedy}")
        if (metrics.record_sha256, metrics.checkpoint_sha256) != (run.record_sha256, run.record.checkpoint_sha256):
            raise UserError(f"belongs to another record: the run was trained again since; {remedy}")
        name = f"queries{variant.suffix}.parquet"
        data = read_bytes(path.with_name(name), TABLE_BYTES)
        if hashlib.sha256(data).hexdigest() != metrics.queries_sha256:
            raise UserError(f"{name} is damaged: not what {path.name} describes; {remedy}")
        if known != digest:
            _check(data, name, metrics, remedy)
    except UserError as error:
        raise BrokenResultError(str(error).replace(f"{path.parent}/", "").removeprefix(f"{path.name}: ")) from None
    return metrics, digest


def _command(key: str, variant: Variant) -> str:
    steps = ",".join(part for part in variant.parts if part not in DESIGNS)
    designs = ",".join(part for part in variant.parts if part in DESIGNS)
    options = [f"--test-time {steps}"] * bool(steps) + [f"--design {designs}"] * bool(designs)
    return " ".join(["harness evaluate", key, *options])


def _check(data: bytes, name: str, metrics: VariantMetrics, remedy: str) -> None:
    """Raise UserError unless every ranking's scores follow from its queries, and the scores are their mean."""
    import pyarrow as pa
    import pyarrow.compute as pc

    queries = parse_table(data, Path(name), query_types() | {DRAW: pa.int32()}, remedy)
    draws = queries[DRAW].to_numpy()
    if set(draws.tolist()) != set(range(len(metrics.rankings))):
        raise UserError(f"{name}: its draws are not those of the metrics; {remedy}")
    for draw, ranking in enumerate(metrics.rankings):
        try:
            check_scores(queries.filter(pc.equal(queries[DRAW], draw)), ranking)
        except UserError as error:
            said = str(error).replace("queries.parquet", name).replace("metrics.json says", "its metrics say")
            raise UserError(f"{said}; {remedy}") from None
    for score in SCORES:
        mean = sum(getattr(ranking, score) for ranking in metrics.rankings) / len(metrics.rankings)
        if abs(mean - getattr(metrics, score)) > AGREEMENT:
            raise UserError(f"{score} is not the mean of its draws; {remedy}")
    if metrics.queries != sum(ranking.queries for ranking in metrics.rankings):
        raise UserError(f"it counts other queries than its draws; {remedy}")
