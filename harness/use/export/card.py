"""The model card: what the file is, what it was trained on, under which terms, how good it is, what it is not for."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from harness.pipeline.records import LabelFree
from harness.pipeline.trained import read_label_free, read_scores
from harness.specs.pairing import parse_key
from harness.specs.registry import Registry
from harness.use.export.hub import as_yaml, model_index
from harness.use.model import CALIBRATION, Model, TrainedRun

LAW = """\
Identifying people by their appearance is processing of biometric or personal data in many places. In the European
Union the GDPR (Art. 9) forbids it without a legal ground such as explicit consent, and the AI Act (Regulation (EU)
2024/1689) forbids real-time remote biometric identification in public places for law enforcement but for narrow
exceptions (Art. 5) and classes other remote biometric identification as high-risk (Annex III). Other countries and
cities have rules of their own. This is no legal advice: ask before you point it at people who did not agree."""


def card(run: TrainedRun, model: Model, form: str, parity: float, document: dict[str, Any]) -> str:
    """Return the card as Markdown with the front matter of the Hugging Face Hub."""
    record = run.record
    trained_on = _datasets(run)
    network = run.method.compute.network
    header = [
        "---",
        "library_name: reid-harness",
        "pipeline_tag: image-feature-extraction",
        "license: other",
        "license_name: terms-of-the-training-data",
        f"tags: [re-identification, {record.setting}, {network.backbone.kind}]",
        f"datasets: {json.dumps([name for name, _ in trained_on])}",
        "metrics: [mAP, rank-1, mINP]",
        *_model_index(run),
        "---",
        "",
    ]
    feed = document["input"]
    body = [
        f"# {record.key}",
        "",
        f"An embedding of {_kind(run)} crops, {network.backbone.kind}, exported as `{form}`: similar crops have",
        "features with a high cosine similarity.",
        "",
        "## Input and output",
        "",
        f"- Feed {feed['layout']}, {feed['dtype']}, {feed['height']}×{feed['width']} (height × width); normalization "
        f"{feed['normalization']}, mean {list(feed['mean'])}, std {list(feed['std'])}. In training crops were resized "
        f"to {run.input.height}×{run.input.width}, {feed['interpolation']}.",
        f"- Get {document['output']['layout']}, {document['output']['dtype']}; compare by cosine similarity.",
        f"- Against the checkpoint, batches of 1, 2 and 17: lowest cosine {parity:.5f}.",
        "",
        "## Trained on",
        "",
        *[f"- **{name}**: {terms}" for name, terms in trained_on],
        f"- Started from: {', '.join(record.init)}.",
        "",
        "Whether these terms extend to the weights is disputed; the cautious reading is that they do.",
        "",
        "## Figures",
        "",
        *_figures(run.folder),
        "",
        *_threshold(model),
        "## Intended use and limits",
        "",
        "Research, and re-identification where it is lawful. Appearance is no proof of identity: people in the same",
        "clothes look alike, and the same person in other clothes does not. Error rates on other cameras than those it",
        f"was trained for are unknown until measured (`harness calibrate {record.key} --pairs FILE`), and may differ",
        "between groups of people: the training data were not balanced.",
        "",
        LAW,
        "",
        "## How it came about",
        "",
        f"Method {record.method} ({record.setting}), target {record.target}"
        + (f", source {record.source}" if record.source else "")
        + f", seed {record.seed}, {record.epochs} epochs, spec {record.spec_hash}, code {record.code_version}, "
        f"weights SHA-256 {model.checkpoint}.",
        "",
    ]
    return "\n".join([*header, *body])


def _model_index(run: TrainedRun) -> list[str]:
    metrics = read_scores(run.folder)
    if metrics is None:
        return []
    found = model_index(run.record, metrics, _registry(run).datasets.get(run.record.target))
    return as_yaml({"model-index": found}).splitlines()


def _registry(run: TrainedRun) -> Registry:
    return Registry.load(run.folder.absolute().parents[2])


def _kind(run: TrainedRun) -> str:
    dataset = _registry(run).datasets.get(run.record.target)
    return dataset.kind if dataset and dataset.kind != "other" else "object"


def _datasets(run: TrainedRun) -> list[tuple[str, str]]:
    """Return every dataset that the weights saw, back through the runs they started from, with its license."""
    record, known = run.record, _registry(run).datasets
    names = [name for name in (record.source, record.target) if name]
    if record.setting == "direct":
        names.remove(record.target)  # only evaluated there
    for start in record.init:
        if "__" in start:
            pairing = parse_key(start)
            names += [name for name in (pairing.source, pairing.target) if name]
    found = [(name, known[name].access.license if name in known else "terms unknown") for name in dict.fromkeys(names)]
    if "imagenet" in record.init:
        found.append(("ImageNet", "its images are licensed for non-commercial research only"))
    if "pretrained" in record.init and record.weights:
        name = record.weights.file.removesuffix(".safetensors")
        found.append((name, f"what it was trained on and its terms: https://huggingface.co/timm/{name}"))
    return found


def _figures(folder: Path) -> Iterable[str]:
    """Yield this run's scores, and mean and spread over the seeds that lie beside it."""
    own = read_scores(folder)
    if own is None:
        unlabeled = read_label_free(folder)
        yield _label_free(unlabeled) if unlabeled else "The run has not been evaluated."
        return
    pairing = parse_key(folder.name)
    stem = folder.name.removesuffix(f"__s{pairing.seed}")
    seeds = [found for path in sorted(folder.parent.glob(f"{stem}__s*")) if (found := read_scores(path))]
    yield f"Protocol {own.protocol} on {pairing.target}, last epoch, {own.queries} queries in {own.gallery} images."
    yield ""
    yield "| | mAP | Rank-1 | mINP |"
    yield "| --- | --- | --- | --- |"
    yield f"| this run | {own.map:.1f} | {own.rank1:.1f} | {own.minp:.1f} |"
    if len(seeds) > 1:
        columns = ([getattr(one, name) for one in seeds] for name in ("map", "rank1", "minp"))
        cells = " | ".join(f"{mean(values):.1f} ± {stdev(values):.1f}" for values in columns)
        yield f"| {len(seeds)} seeds | {cells} |"


def _label_free(found: LabelFree) -> str:
    """Say what is known of a run whose target has no labeled test images."""
    figures = {
        "clusters": found.clusters, "share of outliers": found.outliers, "silhouette": found.silhouette,
        "agreement with the epoch before": found.agreement, "camera bias": found.camera_bias,
    }  # fmt: skip
    stated = ", ".join(f"{name} {value:.3g}" for name, value in figures.items() if value is not None)
    return f"No labeled test images, so no mAP. Of {found.images} training images after the last epoch: {stated}."


def _threshold(model: Model) -> Iterable[str]:
    found = model.calibration
    if found is None:
        return [f"No threshold was measured: `harness calibrate {model.record.key}` does.", ""]
    same = found.same
    return [
        f"Threshold ({CALIBRATION}, measured on {found.data}): same from a cosine of {same.threshold:.3f} on, at FPIR "
        f"{100 * same.fpir:.1f} % and FNIR {100 * same.fnir:.1f} % ({100 * same.fnir_low:.1f} … "
        f"{100 * same.fnir_high:.1f}) in a gallery of {found.gallery}; different below {found.different_below:.3f}.",
        "",
    ]
