"""HTML of the static site: one frame, tables, links that end where a page exists. All text is escaped here."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from harness.tables.addresses import View, file_name
from harness.tables.style import CSS

EXTRA = """\
nav { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; margin-bottom: 1.5rem } h1, h2, p { overflow-wrap: anywhere }
 a { color: var(--mark) } a:focus-visible { outline: 2px solid var(--mark) }
.strip { display: flex; flex-wrap: wrap; gap: .5rem } figure { margin: 0; width: 6.5rem }
figure img { display: block; height: 128px; border: 4px solid transparent; border-radius: 3px }
figure.right img { border-color: #009E73 } figure.wrong img { border-color: #D55E00 }
figcaption { font-size: .8rem; color: var(--dim) } pre { overflow-x: auto; font-size: .85rem }
.verdict { font-weight: 600; color: inherit; font-size: 1rem }
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' file:"
HEADS = {"index": "Leaderboard", "matrix": "Matrix", "queries": "Queries", "run": "Runs", "methods": "Methods",
         "datasets": "Datasets"}  # fmt: skip


@dataclass
class Site:
    """The pages made so far, by file; `known` are the files that will exist, so that no link leads nowhere."""

    known: set[str] = field(default_factory=set)
    pages: dict[str, str] = field(default_factory=dict)

    def add(self, file: str, title: str, body: Iterable[str]) -> None:
        """Add a page below the navigation."""
        up = "../" * file.count("/")
        heads = "".join(
            f'<a href="{up}{name}.html">{label}</a>' for name, label in HEADS.items() if f"{name}.html" in self.known
        )
        self.pages[file] = (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            f"<title>{text(title)} · Re-ID leaderboard</title>\n"
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n<style>\n{CSS}{EXTRA}</style></head>\n'
            f"<body><main><nav>{heads}</nav>\n<h1>{text(title)}</h1>\n" + "\n".join(body) + "\n</main></body></html>\n"
        )

    def link(self, file: str, view: View, label: str) -> str:
        """Return a link from page `file` to a view, or its label where the site has no such page."""
        wanted = file_name(view)
        if wanted not in self.known:
            return text(label)
        return f'<a href="{"../" * file.count("/")}{wanted}">{text(label)}</a>'


def text(value: object) -> str:
    """Return a value as text of a page."""
    return html.escape(str(value))


def paragraph(value: object, kind: str = "") -> str:
    """Return a paragraph of text."""
    return f'<p class="{kind}">{text(value)}</p>' if kind else f"<p>{text(value)}</p>"


def table(headers: Sequence[str], rows: Iterable[Sequence[str]], numeric: Sequence[bool] = ()) -> str:
    """Return a table; cells are HTML already, headers are text."""
    right = [*numeric, *([False] * (len(headers) - len(numeric)))]

    def line(tag: str, cells: Sequence[str]) -> str:
        parts = (
            f'<{tag} class="n">{c}</{tag}>' if n else f"<{tag}>{c}</{tag}>" for c, n in zip(cells, right, strict=True)
        )
        return f"<tr>{''.join(parts)}</tr>"

    body = "\n".join(line("td", row) for row in rows)
    head = line("th", [text(header) for header in headers])
    return f"<section><div><table><thead>{head}</thead><tbody>\n{body}\n</tbody></table></div></section>"


def figure(source: str, alt: str, caption: str, kind: str = "") -> str:
    """Return an image with its caption; `kind` is right, wrong or ''."""
    return (
        f'<figure class="{kind}"><img src="{text(source)}" alt="{text(alt)}" loading="lazy">'
        f"<figcaption>{text(caption)}</figcaption></figure>"
    )


def code(value: str) -> str:
    """Return a block of code."""
    return f"<pre><code>{text(value)}</code></pre>"
