"""MkDocs hook: adds the generated reference pages to the site and to its navigation."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # MkDocs loads this file by its path

from scripts.docs import api, commands, specs  # noqa: E402

SPECS = {
    "Keys of a dataset": "datasets.md",
    "Keys of a method": "methods.md",
    "Keys of compute": "compute.md",
    "Parts": "parts.md",
    "Algorithms": "algorithms.md",
}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Generate the pages, and list them in the navigation."""
    pages = {f"reference/api/{name}": text for name, text in api.pages(ROOT).items()}
    navigation: list[Any] = [{title: f"reference/{name}"} for title, name in SPECS.items()]
    navigation.append({"Command line": "reference/commands.md"})
    navigation.append({"Python API": list(pages)})
    pages |= {f"reference/{name}": text for name, text in specs.pages(ROOT).items()}
    pages["reference/commands.md"] = commands.page()
    config.nav = [*(config.nav or []), {"Reference": navigation}]
    config.extra["generated"] = pages
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Put the generated pages beside those of docs/."""
    for path, text in config.extra["generated"].items():
        files.append(File.generated(config, path, content=text))
    return files
