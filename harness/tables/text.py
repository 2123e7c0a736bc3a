"""Small texts that several pages show: YAML, BibTeX, commands, durations."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

JOURNALS = "Transactions|Journal|Letters|Pattern Recognition|Neural Networks|arXiv"
"""What the venue of an article is called; all others are proceedings."""


def to_yaml(document: Any) -> str:
    """Return a JSON-able document as YAML, short lists on one line."""
    from ruamel.yaml import YAML  # most pages show none

    writer = YAML()
    writer.default_flow_style = None
    writer.width = 68
    out = io.StringIO()
    writer.dump(document, out)
    return out.getvalue()


def flat(document: Any, path: str = "") -> dict[str, Any]:
    """Return nested mappings as one, keys joined by dots."""
    if not isinstance(document, Mapping):
        return {path: document}
    found: dict[str, Any] = {}
    for key, value in document.items():
        found |= flat(value, f"{path}.{key}" if path else str(key))
    return found


def value_text(value: Any) -> str:
    """Return a parameter's value as the YAML file would state it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(value_text(item) for item in value)}]"
    return str(value)


def unsigned_zero(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return points rounded to one decimal as they are shown, so that none reads −0.0."""
    return np.round(points, 1) + 0.0


def bibtex(name: str, paper: Mapping[str, Any]) -> str:
    """Return the paper's BibTeX entry: the one its spec states, or one made from its fields."""
    if paper.get("bibtex"):
        return str(paper["bibtex"]).strip()
    first = re.sub(r"[^a-z]", "", (paper["authors"][0].split()[-1] if paper["authors"] else name).lower())
    article = re.search(JOURNALS, paper["venue"]) is not None
    fields = {
        "title": f"{{{paper['title']}}}",
        "author": " and ".join(paper["authors"]),
        "journal" if article else "booktitle": paper["venue"],
        "year": str(paper["year"]),
        "doi": paper.get("doi", ""),
        "eprint": paper.get("arxiv", ""),
        "url": paper.get("url", ""),
    }
    lines = ",\n".join(f"  {key} = {{{value}}}" for key, value in fields.items() if value)
    return f"@{'article' if article else 'inproceedings'}{{{first}{paper['year']},\n{lines}\n}}"


def published_in(paper: Mapping[str, Any]) -> str:
    """Return where and when a paper appeared; the year once, also where the venue's name has it."""
    return paper["venue"] if str(paper["year"]) in paper["venue"] else f"{paper['venue']} {paper['year']}"


def commands(key: str, version: str = "", expected: str = "") -> str:
    """Return what reproduces a run: the code of `version`, the run or its two steps by hand, and what to expect."""
    lines = [f"git checkout {version.rstrip('+')}"] if re.fullmatch(r"[0-9a-f]{7,40}\+?", version) else []
    if version.endswith("+"):
        lines.append("# the code had changes on top of this commit, which no repository has")
    lines += [f"harness run {key}", "# or, step by step:", f"harness train {key}", f"harness evaluate {key}"]
    return "\n".join([*lines, *([f"# expected: {expected}"] if expected else [])])


def duration(seconds: float) -> str:
    """Return a time as people read it."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"


def task_title(name: str, titles: Mapping[str, str] | None = None) -> str:
    """Return a task's name as people read it; `titles` has those of the datasets."""
    return " → ".join((titles or {}).get(part, part) for part in name.split("-to-"))


def signed(value: float) -> str:
    """Return points with one decimal and a sign, never `-0.0`."""
    return f"{round(value, 1) + 0.0:+.1f}".replace("-", "−")
