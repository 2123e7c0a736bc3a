"""Tables as CSV, Markdown, LaTeX, JSON, a static HTML page, or for the terminal. Text is escaped for each."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace

from harness.inputs.text import printable
from harness.tables.style import CSS
from harness.tables.table import Cell, Table

FORMATS = ("table", "csv", "md", "latex", "json", "html")
UNLIMITED, NAME, SHORT = 240, 24, 12
"""Characters: of a line that no terminal limits; that a name needs at least; of a text that is never broken."""
LEAST = ("minp", "rank10", "rank5", "best", "reported_rank1", "seeds", "verdict", "setting")
"""The columns that a narrow terminal does without, the least first."""
TEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "−": r"$-$",
    "±": r"$\pm$",
    "†": r"$\dagger$",
    "Δ": r"$\Delta$",
    "→": r"$\rightarrow$",
    "·": r"$\cdot$",
    "×": r"$\times$",
}


def to_csv(tables: Sequence[Table]) -> str:
    """Return one CSV with full precision; several tables are told apart by the first column."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for i, table in enumerate(tables):
        if i == 0:
            writer.writerow(["task", *table.keys])
        for row in table.rows:
            writer.writerow([table.title, *(_csv_cell(cell) for cell in row)])
    return out.getvalue()


def _csv_cell(cell: Cell) -> str | float | int:
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return "'" + value if value[:1] in ("=", "+", "-", "@", "\t", "\r") else value  # a spreadsheet would run it
    return value


def to_json(tables: Sequence[Table]) -> str:
    """Return a JSON list of tasks, each with its rows as objects."""
    document = [
        {
            "task": table.title,
            "rows": [{key: cell.value for key, cell in zip(table.keys, row, strict=True)} for row in table.rows],
        }
        for table in tables
    ]
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def to_markdown(tables: Sequence[Table]) -> str:
    """Return GitHub's tables: best bold, second in italics."""
    return "\n".join(_markdown(table) for table in tables)


def _markdown(table: Table) -> str:
    rule = ["---:" if numeric else ":---" for numeric in table.numeric]
    lines = [f"### {escape_markdown(table.title)}", ""]
    lines += [_markdown_row([escape_markdown(header) for header in table.headers]), _markdown_row(rule)]
    for row in table.rows:
        lines.append(_markdown_row([_marked(escape_markdown(c.text), c.place, ("**", "**"), ("_", "_")) for c in row]))
    lines += ["", *(f"{prose(note)}  " for note in table.notes)]
    return "\n".join(lines) + "\n"


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def escape_markdown(text: str) -> str:
    """Return `text` so that Markdown (Streamlit's included: colours, LaTeX, icons) shows it as it is, on one line."""
    escaped = re.sub(r"([\\`*_{}\[\]()#+!|~$:>]|(?<!\w)-)", r"\\\1", re.sub(r"\s+", " ", text))
    return escaped.replace("&", "&amp;").replace("<", "&lt;")


def prose(text: str) -> str:
    """Return a message for Markdown: escaped, but for what stands between backticks, which stays code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape_markdown(text)
    return "".join(f"`{part}`" if i % 2 else escape_markdown(part) for i, part in enumerate(parts))


def to_latex(tables: Sequence[Table]) -> str:
    """Return booktabs tables as wide as both columns of a paper: best bold, second underlined."""
    return "% needs \\usepackage{booktabs} and \\usepackage[T1]{fontenc}\n" + "\n".join(_latex(t) for t in tables)


def _latex(table: Table) -> str:
    alignment = "".join("r" if numeric else "l" for numeric in table.numeric)
    lines = [r"\begin{table*}[t]", r"\centering\small", rf"\caption{{{escape_latex(table.caption or table.title)}}}"]
    lines += [rf"\label{{{table.label}}}"] if table.label else []
    lines += [rf"\begin{{tabular}}{{{alignment}}}", r"\toprule"]
    lines.append(" & ".join(escape_latex(header) for header in table.headers) + r" \\")
    lines.append(r"\midrule")
    for number, row in enumerate(table.rows):
        if number and number == table.rule:
            lines.append(r"\midrule")
        lines.append(" & ".join(_latex_cell(cell) for cell in row) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    lines += [rf"\par\smallskip\footnotesize {escape_latex(note)}" for note in table.notes]
    lines += [r"\end{table*}"]
    return "\n".join(lines) + "\n"


def _latex_cell(cell: Cell) -> str:
    text = _marked(escape_latex(cell.text), cell.place, (r"\textbf{", "}"), (r"\underline{", "}"))
    return text + (rf"~\cite{{{cell.cite}}}" if cell.cite else "")


def escape_latex(text: str) -> str:
    """Return `text` so that LaTeX prints it as it is, on one line."""
    return "".join(TEX.get(character, character) for character in " ".join(text.split()))


def _marked(text: str, place: int, best: tuple[str, str], second: tuple[str, str]) -> str:
    if not text or place not in (1, 2):
        return text
    before, after = best if place == 1 else second
    return f"{before}{text}{after}"


def to_html(tables: Sequence[Table], title: str, footer: str) -> str:
    """Return one page that needs nothing else: no script, no font, no request."""
    body = "\n".join(_html(table) for table in tables) or "<p>There are no results yet.</p>"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<style>\n{CSS}</style></head>\n<body><main><h1>{html.escape(title)}</h1>\n{body}\n"
        f"<footer>{html.escape(footer)}</footer></main></body></html>\n"
    )


def _html(table: Table) -> str:
    def cell(tag: str, text: str, numeric: bool, place: int = 0) -> str:
        kind = " ".join(name for name, on in (("n", numeric), ("best", place == 1), ("second", place == 2)) if on)
        return f'<{tag} class="{kind}">{html.escape(text)}</{tag}>' if kind else f"<{tag}>{html.escape(text)}</{tag}>"

    head = "".join(cell("th", header, numeric) for header, numeric in zip(table.headers, table.numeric, strict=True))
    rows = "\n".join(
        ('<tr class="rule">' if number and number == table.rule else "<tr>")
        + "".join(cell("td", c.text, n, c.place) for c, n in zip(row, table.numeric, strict=True))
        + "</tr>"
        for number, row in enumerate(table.rows)
    )
    notes = "".join(f"<p>{html.escape(note)}</p>" for note in table.notes)
    return (
        f"<section><h2>{html.escape(table.title)}</h2><div><table><thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{rows}\n</tbody></table></div>{notes}</section>"
    )


def to_terminal(tables: Sequence[Table], width: int | None = None, color: bool | None = None) -> str:
    """Return text for a terminal `width` characters wide (default: this one's; as wide as needed where it is none).

    `color`: with bold, underlined and dim text (default: on a terminal). NO_COLOR forbids colors, not weight.
    """
    from rich.console import Console  # the pages do without
    from rich.table import Table as RichTable
    from rich.text import Text

    if width is None:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else UNLIMITED
    out = io.StringIO()
    color = sys.stdout.isatty() if color is None else color
    console = Console(width=width, file=out, force_terminal=color, legacy_windows=False)
    for whole in tables:
        table = _narrowed(whole, width)
        grid = RichTable(
            title=Text(printable(table.title)), title_justify="left", title_style="bold", box=None, pad_edge=False
        )
        for header, numeric, size in zip(table.headers, table.numeric, _sizes(table), strict=True):
            grid.add_column(
                Text(header),
                justify="right" if numeric else "left",
                no_wrap=numeric or size <= SHORT,
                overflow="fold",
            )
        for number, row in enumerate(table.rows):
            if number and number == table.rule:
                grid.add_row()
            grid.add_row(*(Text(printable(c.text), {1: "bold", 2: "underline"}.get(c.place, "")) for c in row))
        console.print(grid)
        for note in table.notes:
            console.print(Text(note, style="dim"))
        console.print()
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _narrowed(table: Table, width: int) -> Table:
    """Leave out the columns that matter least until numbers and short texts fit, and say so below the table."""
    left_out: list[str] = []
    for key in LEAST:
        needed = sum(
            size if numeric else min(size, NAME) for size, numeric in zip(_sizes(table), table.numeric, strict=True)
        )
        if needed + 2 * (len(table.keys) - 1) <= width:
            break
        if key in table.keys:
            left_out.append(table.headers[table.keys.index(key)])
            table = table.without(key)
    if not left_out:
        return table
    kept = [note for note in table.notes if not any(header.endswith(note[0]) for header in left_out)]  # that of a †
    return replace(
        table, notes=(*kept, f"left out for want of room: {', '.join(left_out)}; `--format csv` has every column")
    )


def _sizes(table: Table) -> list[int]:
    """The longest text of each column."""
    return [max(map(len, (header, *(row[i].text for row in table.rows)))) for i, header in enumerate(table.headers)]
