"""The leaderboard and the matrix as files: CSV, LaTeX with `\\cite` keys and their BibTeX, Markdown, HTML."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from harness.evaluation.protocol import PROTOCOL
from harness.inputs.text import printable
from harness.store.models import Method
from harness.store.views import LeaderRow
from harness.tables.columns import BY_KEY, COLUMNS, METRICS, Column, notes_on, useful
from harness.tables.formats import to_csv, to_html, to_latex, to_markdown
from harness.tables.table import Cell, Table, leader_table, place, places
from harness.tables.text import bibtex, task_title
from harness.tables.words import is_bound, setting_name

Files = dict[str, tuple[str, str, Callable[[], str]]]
"""Label of a button -> (suffix, MIME type, what makes the content when somebody wants it)."""
PAPER = ("method", "setting", "map", "rank1", "rank5", "rank10", "minp", "seeds", "reported", "difference", "best",
         "source")  # fmt: skip
TITLE = "Re-identification leaderboard"


def leaderboard_files(
    task: str,
    title: str,
    rows: Sequence[LeaderRow],
    everyone: Sequence[LeaderRow],
    methods: Mapping[str, Method],
    snapshot: str,
) -> Files:
    """Return a task's rows in every format, the CSV with its name; best and second are those among `everyone`."""

    def people() -> Table:
        columns = useful(rows, [column for column in COLUMNS if column.shown])
        return leader_table(title, rows, columns, notes_on(columns), everyone, blocks=True)

    return _files(
        lambda: leader_table(task_title(task), rows, COLUMNS, among=everyone),
        lambda: paper_table(title, rows, everyone, methods, snapshot),
        people, [row.method for row in rows], methods, snapshot,
    )  # fmt: skip


def matrix_files(
    rows: Sequence[LeaderRow], tasks: Mapping[str, str], metric: str, methods: Mapping[str, Method], snapshot: str
) -> Files:
    """Return the table of methods × tasks in every format; `tasks` has the titles by name, in their order."""

    def table() -> Table:
        return matrix_table(rows, tasks, metric, methods, snapshot)

    return _files(table, table, table, list(dict.fromkeys(row.method for row in rows)), methods, snapshot)


def _files(
    machine: Callable[[], Table],
    paper: Callable[[], Table],
    people: Callable[[], Table],
    names: Sequence[str],
    methods: Mapping[str, Method],
    snapshot: str,
) -> Files:
    return {
        "CSV": ("csv", "text/csv", lambda: printable(to_csv([machine()]))),
        "LaTeX": ("tex", "application/x-tex", lambda: printable(to_latex([paper()]))),
        "BibTeX": ("bib", "application/x-bibtex", lambda: printable(to_bib(names, methods))),
        "Markdown": ("md", "text/markdown", lambda: printable(to_markdown([people()]))),
        "HTML": ("html", "text/html", lambda: printable(to_html([people()], TITLE, f"snapshot {snapshot}"))),
    }


def paper_table(
    title: str, rows: Sequence[LeaderRow], everyone: Sequence[LeaderRow], methods: Mapping[str, Method], snapshot: str
) -> Table:
    """Return a task's rows as a paper prints them: ± inside, cited, bounds and floors below a rule."""
    columns = useful(rows, [BY_KEY[key] for key in PAPER])
    table = leader_table(title, rows, columns, notes_on(columns), everyone, blocks=True)
    ordered = sorted(rows, key=lambda row: is_bound(row.setting, row.role))
    body = tuple(
        tuple(_paper_cell(cell, column, row, methods) for cell, column in zip(line, columns, strict=True))
        for line, row in zip(table.rows, ordered, strict=True)
    )
    headers = tuple(header[:1].upper() + header[1:] if key in ("method", "setting", "seeds") else header
                    for header, key in zip(table.headers, table.keys, strict=True))  # fmt: skip
    return replace(table, rows=body, headers=headers, caption=caption(title, rows, snapshot), label=label(title))


def _paper_cell(cell: Cell, column: Column, row: LeaderRow, methods: Mapping[str, Method]) -> Cell:
    if column.key == "method":
        return replace(cell, cite=cite_key(methods.get(row.method)))
    std = row.scores[column.key].std if column.key in row.scores else None
    return replace(cell, text=f"{cell.text} ± {std:.1f}") if std is not None else cell


def caption(title: str, rows: Sequence[LeaderRow], snapshot: str) -> str:
    """Return what a reader must know of a table's figures."""
    counts = sorted({len(row.seeds) for row in rows if row.seeds})
    seeds = f"mean ± standard deviation over {counts[-1]} seeds" if counts and counts[-1] > 1 else "one seed"
    if len(counts) > 1:
        seeds += f" (some rows {counts[0]})"
    protocols = ", ".join(sorted({row.protocol for row in rows})) or PROTOCOL
    return (
        f"{title}. Protocol {protocols} on the test split (query and gallery), last epoch, percent, {seeds}. "
        f"Snapshot {snapshot}."
    )


def label(title: str) -> str:
    """Return a label for LaTeX, `tab:` and the title's letters."""
    return "tab:" + re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def matrix_table(
    rows: Sequence[LeaderRow], tasks: Mapping[str, str], metric: str, methods: Mapping[str, Method], snapshot: str
) -> Table:
    """Return methods × tasks, our figure or the reported one with a star, bounds and floors below a rule."""
    cells = {(row.method, row.task): row for row in rows}
    names = list(dict.fromkeys(row.method for row in rows))
    first = {name: next(row for row in rows if row.method == name) for name in names}
    order = list(dict.fromkeys(row.setting for row in rows))
    ran = {row.method for row in rows if row.scores}
    names.sort(key=lambda n: (is_bound(first[n].setting, first[n].role), order.index(first[n].setting), n not in ran,
                              first[n].title))  # fmt: skip
    found = {task: places([row for row in rows if row.task == task], [BY_KEY[metric]]) for task in tasks}

    def cell(name: str, task: str) -> Cell:
        row = cells.get((name, task))
        if row is None:
            return Cell("", None)
        score, quoted = row.scores.get(metric), row.reported.get(metric)
        if score is not None:
            spread = f" ± {score.std:.1f}" if score.std is not None else ""
            return Cell(f"{score.mean:.1f}{spread}", score.mean, place(found[task], row, BY_KEY[metric]))
        return Cell(f"{quoted:.1f}*", quoted) if quoted is not None else Cell("", None)

    body = tuple(
        (Cell(first[name].title, first[name].title, cite=cite_key(methods.get(name))),
         Cell(setting_name(first[name].setting), first[name].setting), *(cell(name, task) for task in tasks))
        for name in names
    )  # fmt: skip
    quoted = any(c.text.endswith("*") for line in body for c in line[2:])
    title = f"{METRICS[metric]} of every method on every task"
    rule = next((i for i, name in enumerate(names) if is_bound(first[name].setting, first[name].role)), 0)
    notes = ("* reported by its publication, not run here",) if quoted else ()
    numeric = (False, False, *(True for _ in tasks))
    return Table(
        title, ("Method", "Setting", *tasks.values()), ("method", "setting", *tasks), numeric,
        body, notes, rule, caption(title, rows, snapshot), f"tab:matrix-{metric}",
    )  # fmt: skip


def to_bib(names: Iterable[str], methods: Mapping[str, Method]) -> str:
    """Return the BibTeX of the methods' papers, each once."""
    entries = {}
    for name in dict.fromkeys(names):
        paper = methods[name].document.get("paper") if name in methods else None
        if paper:
            entries[cite_key(methods[name])] = bibtex(name, paper)
    return "\n\n".join(entries.values()) + "\n" if entries else "% no method of this table names a paper\n"


def cite_key(method: Method | None) -> str:
    """Return the key of a method's BibTeX entry, or '' without a paper."""
    paper = method.document.get("paper") if method else None
    found = re.search(r"@\w+\s*\{\s*([^,\s}]+)", bibtex(method.name, paper)) if method and paper else None
    return found[1] if found else ""
