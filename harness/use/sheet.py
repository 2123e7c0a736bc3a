"""A page of what a search found: one HTML file with its pictures inside, that opens anywhere."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from PIL import Image

from harness.inputs.images import ImageError, read_image
from harness.use.calibration import Verdict

HEIGHT = 160
COLOURS: dict[Verdict | None, str] = {"same": "#117733", "unsure": "#b07d00", "different": "#882255", None: "#777777"}
STYLE = """
body { font: 14px/1.4 system-ui, sans-serif; margin: 2rem; color: #222; background: #fff }
section { display: flex; gap: 12px; overflow-x: auto; padding: 12px 0; border-top: 1px solid #ddd }
figure { margin: 0; flex: none; max-width: 180px }
img { height: 160px; border: 4px solid; display: block }
figcaption { overflow-wrap: anywhere; font-size: 12px }
"""


@dataclass(frozen=True)
class Hit:
    """One picture that a search found; `verdict` is None where the model is not calibrated."""

    rank: int
    path: str
    similarity: float
    verdict: Verdict | None


@dataclass(frozen=True)
class Answer:
    """A query and what was found for it."""

    query: str
    hits: Sequence[Hit]


def sheet(title: str, note: str, answers: Sequence[Answer], folder: Path) -> str:
    """Return the page, all text escaped. `folder` holds the gallery's pictures; one that is missing is an empty box."""
    return "\n".join(
        [
            '<!doctype html><html lang="en"><meta charset="utf-8">',
            f"<title>{escape(title)}</title><style>{STYLE}</style>",
            f"<h1>{escape(title)}</h1><p>{escape(note)}</p>",
            *(line for answer in answers for line in _section(answer, folder)),
            "</html>\n",
        ]
    )


def _section(answer: Answer, folder: Path) -> Iterator[str]:
    yield "<section>"
    yield _figure(Path(answer.query), "query", answer.query, "#222")
    for hit in answer.hits:
        words = [f"{hit.rank}.", f"{hit.similarity:.3f}", *([hit.verdict] if hit.verdict else [])]
        yield _figure(folder / hit.path, " ".join(words), hit.path, COLOURS[hit.verdict])
    yield "</section>"


def _figure(picture: Path, label: str, name: str, colour: str) -> str:
    caption = f"<figcaption><b>{escape(label)}</b><br>{escape(name)}</figcaption>"
    return f'<figure><img style="border-color:{colour}" alt="{escape(name)}" src="{_data(picture)}">{caption}</figure>'


def _data(path: Path) -> str:
    try:
        image, _ = read_image(path)
    except ImageError:
        image = Image.new("RGB", (HEIGHT // 2, HEIGHT), "lightgrey")
    image.thumbnail((4 * HEIGHT, HEIGHT))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode('ascii')}"
