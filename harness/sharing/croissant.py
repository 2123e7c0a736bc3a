"""A drawn dataset as a folder to publish: its images, its labels, and a Croissant file that describes both.

Croissant 1.1: https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

from harness import __version__
from harness.data.reading import read_dataset
from harness.errors import UserError
from harness.paths import raw_folder, replacing, write_text
from harness.specs.dataset import DatasetSpec
from harness.specs.registry import Registry

CONFORMS = "http://mlcommons.org/croissant/1.1"
IMAGES, LABELS, FILE = "images.zip", "labels.csv", "croissant.json"
FILES = "image-files"
COLUMNS = {
    "path": ("sc:Text", "the image's path in the archive"),
    "split": ("sc:Text", "train, query or gallery"),
    "identity": (
        "sc:Integer",
        "who is shown; {distractors} a distractor, {junk} a bad crop that evaluation leaves out",
    ),
    "camera": ("sc:Integer", "the camera that saw it, from 1"),
}
EPOCH = (1980, 1, 1, 0, 0, 0)
_IN_CROISSANT = (
    "arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field", "fileObject",
    "fileProperty", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5",
    "parentField", "path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate", "separator",
    "source", "subField", "transform",
)  # fmt: skip
CONTEXT = {
    "@language": "en", "@vocab": "https://schema.org/", "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/", "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/", "conformsTo": "dct:conformsTo", "name": {"@container": "@language"},
    "description": {"@container": "@language"}, "data": {"@id": "cr:data", "@type": "@json"},
    "examples": {"@id": "cr:examples", "@type": "@json"}, "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    **{name: f"cr:{name}" for name in _IN_CROISSANT},
}  # fmt: skip
"""That of Croissant 1.1, whole: a reader takes a term that is not in it for one of schema.org."""


def publish_dataset(registry: Registry, name: str, folder: Path) -> Path:
    """Write a drawn dataset's images, labels and description into `folder`; return the description.

    The same dataset gives the same bytes. Raises UserError for a real dataset, whose images are not ours to give on,
    and for one that is not drawn yet.
    """
    spec = registry.dataset(name)
    if not spec.drawn:
        raise UserError(f"{name}: is a real dataset, and not ours to publish; only drawn ones are")
    raw = raw_folder(registry.root, name)
    if not raw.exists():
        raise UserError(f"{name}: is not drawn yet; run: dvc repro draw@{name}")
    rows = _rows(spec, raw)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    write_text(folder / LABELS, text.getvalue())
    with replacing(folder / IMAGES) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
        for path, *_ in rows:  # JPEG does not shrink any further
            archive.writestr(zipfile.ZipInfo(path, EPOCH), (raw / path).read_bytes())
    write_text(folder / FILE, json.dumps(_document(spec, rows, folder), indent=1, ensure_ascii=False) + "\n")
    return folder / FILE


def _rows(spec: DatasetSpec, raw: Path) -> list[tuple[str, str, int, int]]:
    dataset = read_dataset(spec, raw)
    return [
        (record.path.as_posix(), split, record.id, record.camera)
        for split in ("train", "query", "gallery")
        for record in getattr(dataset, split)
    ]


def _document(spec: DatasetSpec, rows: list[tuple[str, str, int, int]], folder: Path) -> dict[str, Any]:
    counts = {split: sum(row[1] == split for row in rows) for split in ("train", "query", "gallery")}
    described = ", ".join(f"{number} {split} images" for split, number in counts.items())
    numbers = {"distractors": _listed(spec.distractor_ids), "junk": _listed(spec.junk_ids)}
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS,
        "name": spec.name,
        "description": f"{spec.title}: synthetic {spec.kind} images for re-identification, drawn by a program; "
        f"{described}. No real {spec.kind} is shown.",
        "version": __version__,
        "license": spec.access.license,
        "url": spec.access.homepage or "https://example.org/reid-harness",
        "citeAs": spec.citation or "reid-harness, CITATION.cff",
        "datePublished": "2026-11-25",
        "isLiveDataset": False,
        "rai:dataCollection": "Synthetic: every pixel follows from the parameters in the dataset's spec and a seed.",
        "rai:personalSensitiveInformation": "None: nobody real is shown.",
        "rai:dataLimitations": "Drawn figures are simpler than photographs; results do not carry over to real cameras.",
        "distribution": [
            _file(folder / LABELS, "text/csv"),
            _file(folder / IMAGES, "application/zip"),
            {
                "@type": "cr:FileSet", "@id": FILES, "name": FILES, "containedIn": {"@id": IMAGES},
                "encodingFormat": "image/jpeg", "includes": "**/*.jpg",
            },
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet", "@id": "images", "name": "images", "key": {"@id": "images/path"},
                "description": "one record per image", "field": [
                    *(_field(column, kind, text.format(**numbers)) for column, (kind, text) in COLUMNS.items()),
                    {
                        "@type": "cr:Field", "@id": "images/image", "name": "image", "dataType": "sc:ImageObject",
                        "description": "the image", "source": {
                            "fileSet": {"@id": FILES}, "extract": {"fileProperty": "content"},
                        },
                    },
                ],
            }
        ],
    }  # fmt: skip


def _listed(ids: tuple[int, ...]) -> str:
    return " and ".join(map(str, ids)) or "no number:"


def _file(path: Path, form: str) -> dict[str, Any]:
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "@type": "cr:FileObject", "@id": path.name, "name": path.name, "contentUrl": path.name,
        "contentSize": f"{path.stat().st_size} B", "encodingFormat": form, "sha256": sha256,
    }  # fmt: skip


def _field(column: str, kind: str, text: str) -> dict[str, Any]:
    column_of_labels = {"fileObject": {"@id": LABELS}, "extract": {"column": column}}
    source: dict[str, Any] = {"source": column_of_labels}
    if column == "path":  # where a file's labels are found; readers keep what is the files' own if it is named alike
        in_archive = {"fileSet": {"@id": FILES}, "extract": {"fileProperty": "fullpath"}}
        source = {"source": in_archive, "references": column_of_labels}
    return {
        "@type": "cr:Field", "@id": f"images/{column}", "name": column, "description": text, "dataType": kind, **source,
    }  # fmt: skip
