import csv
import html.parser
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UserError
from harness.inputs.text import HARMFUL as HARMFUL_PATTERN
from harness.store import Store, ingest, views
from harness.tables.columns import BY_KEY
from harness.tables.exports import leaderboard_files, matrix_files
from harness.tables.formats import TEX, escape_latex, escape_markdown, prose, to_csv, to_latex, to_terminal
from harness.tables.table import Cell, Table
from harness.tables.terminal import compare, compare_two_runs, render_leaderboard
from tests.store.factory import Project

EVIL = "<script>alert(1)</script> & 100% $x_1^2$ {a}|b*c~\\ `code`"


@pytest.fixture
def evil(project: Project) -> Project:
    project.method("cluster-contrast", title=EVIL, params={"temperature": 0.05})
    return project


def render(project: Project, format: str, **options: str) -> str:  # noqa: A002
    ingest(project.root)
    return render_leaderboard(project.root, format, **options)  # type: ignore[arg-type]


HARMFUL = "a\x1b[2Jb\u202ec\u2066d\x9be"


def test_nothing_that_moves_a_cursor_or_turns_a_line_leaves_by_an_export(project: Project, store: Store) -> None:
    project.method("cluster-contrast", title=HARMFUL, params={"temperature": 0.05})
    ingest(project.root)
    rows = views.leaderboard(store, "beta")
    methods = {method.name: method for method in views.methods(store)}
    for files in (
        leaderboard_files("beta", HARMFUL, rows, rows, methods, "x"),
        matrix_files(rows, {"beta": HARMFUL}, "map", methods, "x"),
    ):
        assert set(files) == {"CSV", "LaTeX", "BibTeX", "Markdown", "HTML"}
        for suffix, _, content in files.values():
            assert not HARMFUL_PATTERN.search(content()), suffix


def test_csv_has_full_precision_and_parses(evil: Project, store: Store) -> None:
    rows = list(csv.DictReader(io.StringIO(render(evil, "csv"))))
    row = next(row for row in rows if row["method"] == EVIL and row["task"] == "alpha → beta")
    wanted = next(row for row in views.leaderboard(store, "beta") if row.method == "cluster-contrast")
    assert float(row["map"]) == wanted.score("map")
    assert row["status"] == ""


def test_a_spreadsheet_runs_no_cell() -> None:
    table = Table("t", ("a",), ("a",), (False,), ((Cell("=1+1", "=1+1"),), (Cell("-1", -1.5),)))
    assert [row[1] for row in csv.reader(io.StringIO(to_csv([table])))][1:] == ["'=1+1", "-1.5"]


def test_json_parses(evil: Project) -> None:
    document = json.loads(render(evil, "json"))
    assert [table["task"] for table in document] == ["alpha → beta", "beta", "market"]
    assert document[0]["rows"][1]["method"] == EVIL
    assert document[0]["rows"][1]["seeds"] == 3


def test_markdown_has_one_width(evil: Project) -> None:
    lines = [line for line in render(evil, "md", task="beta").splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {len(re.findall(r"\|", lines[1]))}
    assert "<script>" not in "".join(lines)
    assert re.search(r"\*\*58\.\d\*\*", lines[2])
    assert "**" not in lines[-1]  # a bound takes no part


def test_latex_is_booktabs_with_best_and_second_marked(evil: Project) -> None:
    text = render(evil, "latex", task="beta")
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    columns = re.search(r"\\begin\{tabular\}\{([lr]+)\}", text)
    assert columns
    assert {len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows} == {len(columns[1])}
    assert re.search(r"\\textbf\{58\.\d \$\\pm\$ 0\.\d\}", rows[0])
    assert re.search(r"\\underline\{5[78]\.\d \$\\pm\$ 0\.\d\}", rows[1])
    assert re.search(r"^Supervised & supervised & \d\d\.\d", rows[2])
    assert body.splitlines().count(r"\midrule") == 2  # the bound stands below a rule of its own
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 1


def test_latex_compiles(evil: Project, tmp_path: Path) -> None:
    """Where there is a TeX; where there is none, braces and environments must balance, as TeX would ask."""
    tables = render(evil, "latex")
    document = rf"\documentclass{{article}}\usepackage[T1]{{fontenc}}\usepackage{{booktabs}}\begin{{document}}{tables}"
    source = tmp_path / "tables.tex"
    source.write_text(document + "\\end{document}\n", encoding="utf-8")
    if shutil.which("pdflatex"):
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", source.name]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:]
    bare = re.sub(r"\\[\\{}%&#_$]", "", source.read_text(encoding="utf-8"))
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    assert sorted(re.findall(r"\\begin\{([a-z*]+)\}", bare)) == sorted(re.findall(r"\\end\{([a-z*]+)\}", bare))


@given(st.text())
def test_latex_text_holds_no_active_character(text: str) -> None:
    escaped = escape_latex(text)
    for command in sorted(set(TEX.values()), key=len, reverse=True):
        escaped = escaped.replace(command, "")
    assert not set(escaped) & set('\\&%$#_{}~^<>|"')


@given(st.text())
def test_markdown_text_holds_no_active_character(text: str) -> None:
    escaped = re.sub(r"\\[\\`*_{}\[\]()#+!|~$:>-]", "", escape_markdown(text))
    assert not re.search(r"[\\`*_{}\[\]()#+!|~$:<>]|^-", escaped)


def test_markdown_leaves_a_hyphen_within_words_alone() -> None:
    assert escape_markdown("- drawn-summer, R-1 --- x") == r"\- drawn-summer, R-1 \-\-\- x"


def test_messages_keep_their_code() -> None:
    assert prose("run `harness plan` *now*") == r"run `harness plan` \*now\*"
    assert prose("an odd ` stays text") == r"an odd \` stays text"


class Reader(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_static_page_needs_nothing_and_runs_nothing(evil: Project) -> None:
    page = render(evil, "html")
    reader = Reader()
    reader.feed(page)
    assert EVIL in reader.text
    assert not {"script", "link", "img", "iframe"} & set(reader.tags)
    assert not re.search(r"(src|href)=|url\(|@import|https?://", page)
    assert reader.tags.count("table") == 1


def test_terminal_shows_states_and_ties(project: Project) -> None:
    ingest(project.root)
    text = render_leaderboard(project.root, task="alpha-to-beta", width=140)
    assert "running: train, epoch 3 of 6" in text
    lines = {line.split("  ")[0]: line for line in text.splitlines()}
    assert re.search(r"58\.\d +0\.\d +a", lines["Cluster Contrast"])


def test_a_narrow_terminal_loses_no_number() -> None:
    table = Table("t", ("name", "mAP"), ("name", "map"), (False, True), ((Cell("x" * 60, "x"), Cell("82.6", 82.6)),))
    assert "82.6" in to_terminal([table], width=20)


def test_best_is_what_prints_best() -> None:
    table = Table("t", ("a",), ("a",), (True,), ((Cell("1.0", 1.0, 1),), (Cell("0.5", 0.5, 2),)))
    assert r"\textbf{1.0}" in to_latex([table])


def test_unknown_names(project: Project) -> None:
    with pytest.raises(UserError, match="no format is called 'xls'; there are table, csv"):
        render(project, "xls")
    with pytest.raises(UserError, match="no metric is called 'f1'"):
        render(project, "csv", metric="f1")
    with pytest.raises(UserError, match="no task is called 'mars'"):
        render(project, "csv", task="mars")


def test_compare_says_whether_two_methods_differ(project: Project, store: Store) -> None:
    different = compare(project.root, "supervised", "cluster-contrast", "beta")
    assert re.search(r"difference \+\d\d\.\d points, 95 % interval \+\d\d\.\d … \+\d\d\.\d, p < 0\.001", different)
    assert "supervised is better than cluster-contrast" in different
    assert re.search(r"supervised +mAP +\d\d\.\d ± \d\.\d +seeds 0, 1, 2", different)
    assert "200 queries of 10 identities" in different
    counted = re.search(r"wins · ties · losses over queries: (\d+) · (\d+) · (\d+)", different)
    assert counted is not None
    assert sum(map(int, counted.groups())) == 200
    tied = compare(project.root, "cluster-contrast", "cc-twin", "beta")
    assert "cluster-contrast and cc-twin cannot be told apart" in tied
    assert re.search(r"with 5 seeds a difference of \d\.\d could be told \(power 80 %\)", tied)


def test_compare_says_what_one_seed_cannot_tell(project: Project, store: Store) -> None:
    text = compare(project.root, "direct-transfer", "supervised", "beta", "alpha")
    assert "alpha → beta, 200 queries" in text
    assert "direct-transfer and supervised: one seed is one network: no verdict about methods" in text
    assert "these networks only" in text
    assert re.search(r"direct-transfer +mAP +\d\d\.\d +seed 0\n", text)
    assert not re.search(r"better|worse|told apart$", text)


def test_compare_says_which_seed_is_missing(project: Project) -> None:
    shutil.rmtree(project.root / "results" / "runs" / "cc-twin__beta__s1")
    ingest(project.root)
    text = compare(project.root, "supervised", "cc-twin", "beta")
    assert "seed 1 of supervised missing for cc-twin" in text
    assert "supervised is better than cc-twin" in text


def test_compare_says_what_is_deterministic(project: Project) -> None:
    for seed in (0, 1, 2):
        project.run(f"cc-twin__beta__s{seed}", 0.601, noise=10)
    ingest(project.root)
    text = compare(project.root, "cluster-contrast", "cc-twin", "beta")
    assert "the seeds of cc-twin change nothing: it is deterministic" in text
    assert re.search(r"cc-twin +mAP +\d\d\.\d ± 0\.0", text)


def test_compare_takes_two_runs(project: Project, store: Store) -> None:
    text = compare_two_runs(project.root, "supervised__beta__s0", "cc-twin__beta__s2")
    assert "supervised__beta__s0 is better than cc-twin__beta__s2: these two networks, on other queries" in text
    assert "it says nothing about the methods" in text
    assert "compare_ap: paired bootstrap" in text
    with pytest.raises(UserError, match="'a' is on both sides"):
        compare_two_runs(project.root, "a", "a")
    with pytest.raises(UserError, match="--runs supervised: this is not a run's key"):
        compare_two_runs(project.root, "supervised", "cc-twin__beta__s2")
    with pytest.raises(UserError, match="there is no finished run 'supervised__beta__s9'"):
        compare_two_runs(project.root, "supervised__beta__s9", "cc-twin__beta__s2")


def test_one_seed_has_no_tie_letter(project: Project, store: Store) -> None:
    rows = {row.method: BY_KEY["tie"].text(row) for row in views.leaderboard(store, "alpha-to-beta")}
    assert rows["direct-transfer"] == "one seed"
    assert rows["cc-twin"] == "a"


def test_compare_names_what_is_missing(project: Project, store: Store) -> None:
    with pytest.raises(UserError, match="'nobody' has no finished run on beta; no method is called so"):
        compare(project.root, "nobody", "supervised", "beta")
    with pytest.raises(UserError, match=r"'supervise' .* did you mean 'supervised'"):
        compare(project.root, "supervise", "cluster-contrast", "beta")
    with pytest.raises(UserError, match="'direct-transfer' has no finished run on beta; it has on alpha-to-beta"):
        compare(project.root, "direct-transfer", "supervised", "beta")
    with pytest.raises(UserError, match="'supervised' is on both sides"):
        compare(project.root, "supervised", "supervised", "beta")
    project.run("supervised__beta__s0", 0.8, queries=100)
    ingest(project.root)
    with pytest.raises(UserError, match="different query sets"):
        compare(project.root, "supervised", "cluster-contrast", "beta")
