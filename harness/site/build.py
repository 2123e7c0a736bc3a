"""`harness site FOLDER`: tables, comparisons, ranked lists, runs, methods and datasets as files for any browser."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from harness.data import Split, open_prepared
from harness.drafts import draft_folder
from harness.drawn.spec import DrawnSpec
from harness.errors import UserError
from harness.leaderboard.on_demand import drawn_splits
from harness.paths import prepared_folder
from harness.site.html import Site, code, figure, paragraph, table, text
from harness.statistics.basics import spread
from harness.store import Store, models, open_store, views
from harness.store.compare import Contestant, compare, contestant
from harness.store.database import database_url
from harness.store.lists import Query, read_queries, read_ranked, with_lists
from harness.store.views import LeaderRow
from harness.tables import addresses, exports
from harness.tables.addresses import View, file_name
from harness.tables.columns import COLUMNS, METRICS, notes_on, telling
from harness.tables.table import leader_table
from harness.tables.text import bibtex, commands, duration, flat, published_in, signed, task_title, to_yaml, value_text
from harness.tables.verdicts import probability, remarks, sentence
from harness.tables.words import GLOSSARY, INTRODUCTION, ROLE_NOTES, SETTINGS, is_bound, setting_name

HEIGHT = 128
WORST = 12
"""Queries of a run whose ranked lists are written, the worst first."""
MARK = "harness-site"
"""A file that tells a site from a folder that holds something else."""


@dataclass
class _Builder:
    root: Path
    store: Store
    folder: Path
    real_images: bool
    site: Site = field(default_factory=Site)
    saved: set[str] = field(default_factory=set)
    splits: dict[tuple[str, str], Split | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.datasets = {dataset.name: dataset for dataset in views.datasets(self.store)}
        self.methods = {method.name: method for method in views.methods(self.store)}
        self.runs = {run.key: run for run in views.runs(self.store)}
        self.tasks = [task for task in views.tasks(self.store) if task.reproduced or task.reported]
        self.boards = {task.name: views.leaderboard(self.store, task.name) for task in self.tasks}
        self.lists = [key for key in sorted(with_lists(self.root)) if key in self.runs]
        self.titles = {dataset.name: dataset.title for dataset in self.datasets.values()}
        self.matrix = views.matrix(self.store)
        self.snapshot = views.snapshot(self.store)

    def task(self, name: str) -> str:
        return task_title(name, self.titles)

    def method(self, name: str) -> str:
        return self.methods[name].title if name in self.methods else name

    def split(self, dataset: str, name: str) -> Split | None:
        """The images of a split, if they are here and may be published."""
        spec = self.datasets.get(dataset)
        if spec is None or not (spec.document["drawn"] or self.real_images):
            return None
        if (dataset, name) not in self.splits:
            self.splits[dataset, name] = _split(self.root, spec, name)
        return self.splits[dataset, name]


def _split(root: Path, dataset: models.DatasetRow, name: str) -> Split | None:
    folder = prepared_folder(root, dataset.name)
    if (folder / "info.json").exists():
        with suppress(UserError):
            return open_prepared(folder).split(name, verified=False)
    if dataset.document["drawn"]:
        drawn = DrawnSpec.model_validate(dataset.document["drawn"])
        return drawn_splits(drawn, dataset.document["junk_ids"])[name]
    return None


def build_site(
    root: Path, folder: Path, real_images: bool = False, progress: Callable[[str, int, int], None] | None = None
) -> int:
    """Write the site of project `root` into `folder` and return how many pages it has.

    Images of real datasets are left out unless `real_images`: their licenses rarely allow to publish people. An older
    site there is replaced as a whole. Raises UserError if the folder holds anything else, or cannot be
    written.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise UserError(f"{folder}: holds files that are no site of this tool; name an empty or a new folder")
    store = open_store(database_url(root), read_only=True)
    with ExitStack() as stack:
        stack.callback(store.close)
        try:
            draft = stack.enter_context(draft_folder(folder.parent, f".{folder.name}.draft-"))
        except OSError as error:
            raise UserError(f"cannot write beside {folder}: {error.strerror}") from error
        try:
            count = _write(_Builder(root, store, draft, real_images), progress)
            draft.chmod(0o755)  # a draft is private
            if folder.exists():
                shutil.rmtree(folder)
            draft.replace(folder)
        except OSError as error:
            raise UserError(f"writing {folder} failed: {error.strerror or error}") from error
    return count


def _write(builder: _Builder, progress: Callable[[str, int, int], None] | None) -> int:
    plan = list(_plan(builder))
    builder.site.known = {file for file, *_ in plan} | {"index.html"}
    for done, (file, title, body) in enumerate(plan):
        if progress:
            progress("site", done, len(plan))
        builder.site.add(file, title, body(file))
    if progress:
        progress("site", len(plan), len(plan))
    for file, page in builder.site.pages.items():
        path = builder.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
    (builder.folder / MARK).write_text(f"snapshot {builder.snapshot.id}\n", encoding="utf-8")
    return len(builder.site.pages)


Body = Callable[[str], list[str]]


def _plan(b: _Builder) -> Iterator[tuple[str, str, Body]]:
    """Every page: its file, its title, and what makes its body."""
    view: View
    yield "index.html", "Leaderboard", lambda file: _index(b, file)
    for task in b.tasks:
        view = addresses.Leaderboard(task=task.name)
        yield file_name(view), b.task(task.name), lambda file, name=task.name: _leaderboard(b, file, name)  # type: ignore[misc]
    if b.tasks:
        yield "matrix.html", "Matrix", lambda file: _matrix(b, file)
    for task in b.tasks:
        for pair in _pairs(b, task.name):
            compared = addresses.Compare(task=task.name, of=pair)
            title = f"{b.method(pair[1])} against {b.method(pair[0])}"
            yield file_name(compared), title, lambda file, name=task.name, pair=pair: _comparison(b, file, name, pair)  # type: ignore[misc]
    if b.lists:
        yield "queries.html", "Queries", lambda file: _all_lists(b, file)
    for key in b.lists:
        title = f"Queries of {b.method(b.runs[key].method)}, seed {b.runs[key].seed}"
        yield file_name(_queries_view(b.runs[key])), title, lambda file, key=key: _queries(b, file, key)  # type: ignore[misc]
    if b.runs:
        yield "run.html", "Runs", lambda file: _all_runs(b, file)
    for key, run in b.runs.items():
        title = f"{b.method(run.method)}, seed {run.seed}"
        yield file_name(addresses.Runs(run=key)), title, lambda file, key=key: _run(b, file, key)  # type: ignore[misc]
    if b.methods:
        yield "methods.html", "Methods", lambda file: _all_methods(b, file)
    for name, method in b.methods.items():
        yield file_name(addresses.Methods(method=name)), method.title, lambda file, name=name: _method(b, file, name)  # type: ignore[misc]
    if b.datasets:
        yield "datasets.html", "Datasets", lambda file: _all_datasets(b, file)
    for name, dataset in b.datasets.items():
        file_of = file_name(addresses.Datasets(dataset=name))
        yield file_of, dataset.title, lambda file, name=name: _dataset(b, file, name)  # type: ignore[misc]


def _queries_view(run: models.Run) -> View:
    return addresses.Queries(run=run.key)


def _index(b: _Builder, file: str) -> list[str]:
    rows = [
        [b.site.link(file, addresses.Leaderboard(task=task.name), b.task(task.name)), *_best(b, task.name),
         str(task.reproduced or ""), str(task.reported or "")]
        for task in b.tasks
    ]  # fmt: skip
    words = "".join(f"<dt><b>{text(word)}</b></dt><dd>{text(meaning)}</dd>" for word, meaning in GLOSSARY.items())
    return [
        paragraph(INTRODUCTION),
        table(("task", "best", "mAP", "methods run", "reported"), rows, (False, False, True, True, True)),
        f"<h2>Words</h2><dl>{words}</dl>",
        paragraph(f"{b.snapshot.runs} runs, snapshot {b.snapshot.id}"),
    ]


def _best(b: _Builder, task: str) -> list[str]:
    rows = [row for row in b.boards[task] if row.scores and not is_bound(row.setting, row.role)]
    return [text(rows[0].title), f"{rows[0].score('map'):.1f}"] if rows else ["", ""]


def _leaderboard(b: _Builder, file: str, task: str) -> list[str]:
    rows = [row for row in b.boards[task] if row.state != "queued"]
    columns = telling(rows, [column for column in COLUMNS if column.shown and column.key != "source"])
    made = leader_table("", rows, columns, notes_on(columns), blocks=True)
    ordered = sorted(rows, key=lambda row: is_bound(row.setting, row.role))
    body = []
    for row, cells in zip(ordered, made.rows, strict=True):
        line = [f"<b>{text(cell.text)}</b>" if cell.place == 1 else text(cell.text) for cell in cells]
        line[0] = b.site.link(file, addresses.Methods(method=row.method), row.title)
        runs = (addresses.Runs(run=f"{row.method}__{row.task}__s{seed}") for seed in row.seeds)
        line.append(" ".join(b.site.link(file, view, view.run.rsplit("__s", 1)[1]) for view in runs))
        body.append(line)
    links = [
        b.site.link(file, addresses.Compare(task=task, of=pair), f"{b.method(pair[1])} against {b.method(pair[0])}")
        for pair in _pairs(b, task)
    ]
    compared = f"<h2>Comparisons</h2><ul>{''.join(f'<li>{link}</li>' for link in links)}</ul>" if links else ""
    headers = (*made.headers, "runs by seed")
    caption = exports.caption(b.task(task), rows, b.snapshot.id)
    return [paragraph(caption), table(headers, body, made.numeric), *map(paragraph, made.notes), compared]


def _matrix(b: _Builder, file: str) -> list[str]:
    rows = [row for row in b.matrix if row.role not in ("init", "ablation")]
    titles = {task.name: b.task(task.name) for task in b.tasks}
    rows = [row for row in rows if row.task in titles and (row.scores or row.reported)]
    made = exports.matrix_table(rows, titles, "map", b.methods, b.snapshot.id)
    names = {row.title: row.method for row in rows}
    body = []
    for cells in made.rows:
        line = [f"<b>{text(cell.text)}</b>" if cell.place == 1 else text(cell.text) for cell in cells]
        line[0] = b.site.link(file, addresses.Methods(method=names[cells[0].text]), cells[0].text)
        body.append(line)
    return [paragraph(made.caption), table(made.headers, body, made.numeric), *map(paragraph, made.notes)]


def _pairs(b: _Builder, task: str) -> list[tuple[str, str]]:
    """The comparisons of a task: each method with those it is judged against, and the best two of each setting."""
    ran = {row.method: row for row in b.boards[task] if row.scores}
    pairs: dict[tuple[str, str], None] = {}
    for name in ran:
        method = b.methods.get(name)
        for other in (method.document.get("judged_against") or []) if method else []:
            if other in ran:
                pairs[other, name] = None
    for setting in SETTINGS:
        rivals = [row.method for row in ran.values() if row.setting == setting and not is_bound(row.setting, row.role)]
        if len(rivals) > 1:
            pairs[rivals[0], rivals[1]] = None
    return list(pairs)


def _comparison(b: _Builder, file: str, task: str, pair: tuple[str, str]) -> list[str]:
    try:
        reference, other = (contestant(b.store, task, name) for name in pair)
        (found,) = compare(reference, [other])
    except UserError as error:
        return [paragraph(error)]
    result, names = found.result, (b.method(pair[0]), b.method(pair[1]))
    p_value = probability(found.corrected) if found.verdict is not None else ""
    rows = [
        *([f"mAP of {text(name)}", _seeds(side)] for name, side in ((names[1], other), (names[0], reference))),
        ["difference of mAP", signed(result.difference)],
        ["95 % interval", f"{signed(result.low)} … {signed(result.high)}"],
        *([["p-value", text(p_value)]] if p_value else []),
        ["queries: wins · ties · losses", f"{found.wins} · {found.ties} · {found.losses}"],
    ]
    gain = 100 * (other.per_query - reference.per_query)
    order = [int(i) for i in gain.argsort() if gain[i] == gain[i]]
    extremes = [*order[::-1][:8], *order[:8][::-1]]
    per_query = [[str(i), f"{100 * reference.per_query[i]:.1f}", f"{100 * other.per_query[i]:.1f}", signed(gain[i])]
                 for i in extremes]  # fmt: skip
    specs = [
        flat(detail.record["spec"])
        for side in (reference, other)
        if (detail := views.run_detail(b.store, side.keys[0]))
    ]
    differing = [
        [text(key), *(text(value_text(spec[key])) if key in spec else "" for spec in specs)]
        for key in dict.fromkeys(key for spec in specs for key in spec)
        if key not in ("name", "init.seed_offsets") and len({value_text(spec.get(key)) for spec in specs}) > 1
    ]
    parts = [
        paragraph(sentence(found, names[1], names[0]), "verdict"),
        *map(paragraph, remarks(found)),
        table(("", ""), rows),
        "<h2>Queries on which they differ most</h2>",
        table(("query", *names, "Δ"), per_query, (True, True, True, True)),
    ]
    if differing:
        parts += ["<h2>What differs in their specs</h2>", table(("parameter", *names), differing)]
    back = b.site.link(file, addresses.Leaderboard(task=task), f"Leaderboard of {b.task(task)}")
    return [*parts, f"<p>{back}</p>"]


def _seeds(side: Contestant) -> str:
    """The mAP of a side: mean, spread, seeds."""
    over = spread(side.maps.tolist())
    return f"{over.mean:.1f} ± {over.std:.1f} over {over.n} seeds" if over.n > 1 else f"{over.mean:.1f}, one seed"


def _all_lists(b: _Builder, file: str) -> list[str]:
    rows = [
        [b.site.link(file, _queries_view(b.runs[key]), b.method(b.runs[key].method)), text(b.task(b.runs[key].task)),
         str(b.runs[key].seed), f"{b.runs[key].map:.1f}"]
        for key in b.lists
    ]  # fmt: skip
    return [table(("method", "task", "seed", "mAP"), rows, (False, False, True, True))]


def _queries(b: _Builder, file: str, key: str) -> list[str]:
    run = b.runs[key]
    try:
        found = read_queries(b.root, key)
    except UserError as error:
        return [paragraph(error)]
    order = sorted((q for q in found if q.ap is not None), key=lambda query: query.ap or 0.0)
    parts = [paragraph(f"{b.task(run.task)}, mAP {run.map:.1f}. The {min(WORST, len(order))} worst of {len(found)} "
                       "queries, each with its ranked list: green the same identity, vermilion another one."),
             f"<p>{b.site.link(file, addresses.Runs(run=key), 'This run')}</p>"]  # fmt: skip
    for query in order[:WORST]:
        parts.append(f"<h2>Query {query.index}, AP {100 * (query.ap or 0.0):.1f}</h2>")
        parts.append(_list(b, file, run, query))
    return parts


def _list(b: _Builder, file: str, run: models.Run, query: Query) -> str:
    try:
        ranked = read_ranked(b.root, run.key, query.index)
    except UserError as error:
        return paragraph(error)
    probes, gallery = b.split(run.target, "query"), b.split(run.target, "gallery")
    if probes is None or gallery is None or int(probes.ids[query.index]) != query.identity:
        return paragraph("The images of this version of the dataset are not on the machine that wrote the site.")
    figures = [figure(_image(b, file, run.target, "query", probes, query.index),
                      f"Query {query.index}, identity {query.identity}", f"query, cam {query.camera}")]  # fmt: skip
    scores = [*ranked.similarity, *([None] * len(ranked.gallery))]
    for place, (index, right) in enumerate(zip(ranked.gallery, ranked.correct, strict=True)):
        if 0 <= index < len(gallery):
            sign, kind = ("✓", "right") if right else ("✗", "wrong")
            cosine = f" · {scores[place]:.2f}" if scores[place] is not None else ""
            figures.append(figure(_image(b, file, run.target, "gallery", gallery, index),
                                  f"Rank {place + 1}, {kind}: identity {gallery.ids[index]}",
                                  f"{place + 1} {sign} cam {gallery.cameras[index]}{cosine}", kind))  # fmt: skip
    return f'<div class="strip">{"".join(figures)}</div>'


def _image(b: _Builder, file: str, dataset: str, name: str, split: Split, index: int) -> str:
    """Save an image once and return its address relative to page `file`."""
    place = f"images/{dataset}/{name}-{index}.jpg"
    if place not in b.saved:
        image = Image.fromarray(split.images[index])
        path = b.folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        image.resize((max(1, round(image.width * HEIGHT / image.height)), HEIGHT)).save(path, "JPEG", quality=85)
        b.saved.add(place)
    return "../" * file.count("/") + place


def _all_runs(b: _Builder, file: str) -> list[str]:
    rows = [
        [b.site.link(file, addresses.Runs(run=key), b.method(run.method)), text(b.task(run.task)), str(run.seed),
         f"{run.map:.1f}", f"{run.rank1:.1f}", f"{run.started:%Y-%m-%d}", duration(run.seconds), text(run.device)]
        for key, run in b.runs.items()
    ]  # fmt: skip
    headers = ("method", "task", "seed", "mAP", "R-1", "started", "duration", "device")
    return [table(headers, rows, (False, False, True, True, True, False, False, False))]


def _run(b: _Builder, file: str, key: str) -> list[str]:
    run, detail = b.runs[key], views.run_detail(b.store, key)
    parts = [
        f"<p>{b.site.link(file, addresses.Leaderboard(task=run.task), b.task(run.task))}, "
        f"{b.site.link(file, addresses.Methods(method=run.method), 'its method')}, "
        f"{b.site.link(file, _queries_view(run), 'its queries')}</p>",
        table(tuple(METRICS.values()), [[f"{getattr(run, metric):.1f}" for metric in METRICS]], (True,) * len(METRICS)),
        "<h2>Reproduce it</h2>",
        code(commands(key, run.code_version, f"mAP {run.map:.1f}, Rank-1 {run.rank1:.1f}")),
    ]
    if run.stale:
        parts.insert(1, paragraph(f"Outdated: {run.stale}"))
    if detail is not None:
        facts = {name: value for name, value in flat(detail.record).items() if not name.startswith("spec.")}
        parts += [
            "<h2>Record</h2>",
            table(("what", "value"), [[text(n), text(value_text(v))] for n, v in facts.items()]),
        ]
        parts += ["<h2>Spec as it ran</h2>", code(to_yaml(detail.record["spec"]))]
    return parts


def _all_methods(b: _Builder, file: str) -> list[str]:
    rows = [
        [b.site.link(file, addresses.Methods(method=name), method.title), text(setting_name(method.setting)),
         text(ROLE_NOTES.get(method.role, "quoted only" if method.quoted else ""))]
        for name, method in b.methods.items()
    ]  # fmt: skip
    return [table(("method", "setting", "role"), rows)]


def _method(b: _Builder, file: str, name: str) -> list[str]:
    method = b.methods[name]
    document = method.document
    results = [row for row in b.matrix if row.method == name and (row.scores or row.reported)]
    parts = [
        paragraph(SETTINGS[method.setting]),
        *([paragraph(document["description"])] if document.get("description") else []),
    ]
    if results:
        headers = ("task", "mAP", "R-1", "seeds", "reported mAP", "from")
        rows = [_result(b, file, row) for row in results]
        parts.append(table(headers, rows, (False, True, True, True, True, False)))
    paper = document.get("paper")
    if paper:
        parts += [f"<h2>{text(paper['title'])}</h2>",
                  paragraph(f"{', '.join(paper['authors'])}. {published_in(paper)}."),
                  paragraph(f"{paper['fidelity'].capitalize()}. {paper['notes']}"),
                  code(bibtex(name, paper))]  # fmt: skip
    if not method.quoted:
        parts += ["<h2>Spec</h2>", code(to_yaml({k: v for k, v in document.items() if v not in (None, [], "")}))]
    return parts


def _result(b: _Builder, file: str, row: LeaderRow) -> list[str]:
    def shown(value: float | None) -> str:
        return "" if value is None else f"{value:.1f}"

    return [b.site.link(file, addresses.Leaderboard(task=row.task), b.task(row.task)), shown(row.score("map")),
            shown(row.score("rank1")), str(len(row.seeds) or ""), shown(row.reported.get("map")),
            text(row.reported_from)]  # fmt: skip


def _all_datasets(b: _Builder, file: str) -> list[str]:
    rows = [
        [b.site.link(file, addresses.Datasets(dataset=name), dataset.title), text(dataset.kind), text(dataset.regime)]
        for name, dataset in b.datasets.items()
    ]
    return [table(("dataset", "kind", "regime"), rows)]


def _dataset(b: _Builder, file: str, name: str) -> list[str]:
    document = b.datasets[name].document
    access = document["access"]
    rows = [[split, *(str(document["expect"][split][what]) for what in ("images", "ids", "cameras"))]
            for split in ("train", "query", "gallery") if document["expect"].get(split)]  # fmt: skip
    parts = [*([paragraph(f"Withdrawn. {access['withdrawn']}")] if access["withdrawn"] else []),
             table(("split", "images", "identities", "cameras"), rows, (False, True, True, True)),
             paragraph(f"License: {access['license']}"),
             *([code(document["citation"])] if document["citation"] else [])]  # fmt: skip
    split = b.split(name, "query")
    if split is not None:
        samples = range(0, len(split), max(1, len(split) // 16))
        images = [
            figure(
                _image(b, file, name, "query", split, i),
                f"Identity {split.ids[i]}, camera {split.cameras[i]}",
                f"id {split.ids[i]}, cam {split.cameras[i]}",
            )
            for i in samples
        ]
        parts += ["<h2>Samples</h2>", f'<div class="strip">{"".join(images)}</div>']
    tasks = [b.site.link(file, addresses.Leaderboard(task=task.name), b.task(task.name)) for task in b.tasks
             if task.target == name]  # fmt: skip
    return [*parts, f"<p>{', '.join(tasks)}</p>"]
