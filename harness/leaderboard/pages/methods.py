"""Page: a method: its idea, paper, parameters, and its results everywhere."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import pandas as pd
import streamlit as st
from pydantic import BaseModel

from harness.errors import UserError
from harness.inputs.files import read_text
from harness.leaderboard import url
from harness.leaderboard.frame import link, name_window
from harness.leaderboard.state import project, read, task_title
from harness.specs.compute import Compute
from harness.specs.registry import import_algorithm
from harness.store import views
from harness.store.models import Figure, Method
from harness.tables import addresses
from harness.tables.columns import METRICS
from harness.tables.formats import escape_markdown
from harness.tables.text import bibtex, flat, published_in, to_yaml, value_text
from harness.tables.words import ROLE_NOTES, SETTINGS

ORDER = ("method", "ablation", "canary", "init", "quoted")
REPOSITORY = re.compile(r"(?<![\w/.])([A-Za-z0-9][\w.-]*/[\w.-]*[A-Za-z0-9])(?![\w/])")
"""`owner/name` of a repository in the text that says where a figure was read."""


def page() -> None:
    """Draw the page."""
    st.title("Methods")
    methods = {m.name: m for m in sorted(read(views.methods), key=lambda m: ORDER.index(m.role))}
    if not methods:
        st.info("There is no method yet: `harness new method NAME --from OTHER` makes one.")
        return
    url.check(addresses.Methods)
    name = url.select("Method", list(methods), "method", show=lambda name: methods[name].title)
    method = methods[name]
    name_window(method.title)
    document = method.document
    st.subheader(escape_markdown(method.title))
    tags = [
        SETTINGS[method.setting],
        ROLE_NOTES.get(method.role, ""),
        "only quoted, not run here" if method.quoted else "",
    ]
    st.caption(" · ".join(tag for tag in tags if tag))
    if document.get("description"):
        st.markdown(escape_markdown(document["description"]))
    if document.get("extends"):
        st.markdown(f"It extends `{document['extends']}` and states only what differs.")
    _results(method)
    if document.get("paper"):
        _paper(method.name, document["paper"])
    if not method.quoted:
        _parameters(document, _regime(method))
        _code(document["algorithm"])
        with st.expander("Spec as YAML, inherited values included", icon=":material/code:"):
            st.code(to_yaml({key: value for key, value in document.items() if value not in (None, [], "")}), "yaml")


def _results(method: Method) -> None:
    rows = [row for row in read(views.matrix) if row.method == method.name and (row.scores or row.reported)]
    if not rows:
        st.info("No result and no reported figure yet. `harness plan` lists what it can run on.")
        return
    frame = pd.DataFrame(
        [
            {
                "task": task_title(row.task),
                "mAP": row.score("map"),
                "±": row.scores["map"].std if row.scores else None,
                "R-1": row.score("rank1"),
                "seeds": len(row.seeds) or None,
                "reported": row.reported.get("map"),
                "reported R-1": row.reported.get("rank1"),
                "Δ": row.difference,
                "verdict": row.verdict,
                "test": row.verdict_note,
            }
            for row in rows
        ]
    ).replace("", None)
    frame = frame.dropna(axis="columns", how="all")
    number = st.column_config.NumberColumn(format="%.1f", alignment="right", width="small")
    signed = st.column_config.NumberColumn(format="%+.1f", alignment="right", width="small")
    config = dict.fromkeys(("mAP", "±", "R-1", "reported", "reported R-1"), number) | {"Δ": signed}
    ran = any(row.scores for row in rows)
    if ran:
        st.dataframe(frame, hide_index=True, column_config=config, placeholder="", width="content",
                     alt="Results on every task")  # fmt: skip
    quoted = read(views.figures, method.name)
    if quoted:
        title = "Reported figures, and where they were read"
        with st.expander(title, expanded=not ran, icon=":material/menu_book:"):
            st.markdown(_quotes(quoted))
    tasks = [row.task for row in rows if row.scores][:4]
    rivals = [name for name in method.document.get("judged_against", []) if name != method.name]
    with st.container(horizontal=True):
        for task in tasks:
            link(addresses.Leaderboard(task=task), f"Leaderboard of {escape_markdown(task_title(task))}")
        for task in tasks[:1]:
            scored = [row.method for row in read(views.leaderboard, task) if row.scores and row.method != method.name]
            for rival in [name for name in (*rivals, *scored) if name in scored][:1]:
                title = next(row.title for row in read(views.leaderboard, task) if row.method == rival)
                link(addresses.Compare(task=task, of=(rival, method.name)), f"Compare with {escape_markdown(title)}")


def _regime(method: Method) -> str:
    """The regime of its results: what a reader of the figures above wants to see first."""
    tasks = {task.name: task.regime for task in read(views.tasks)}
    found = [tasks[run.task] for run in read(views.runs, None, method.name) if run.task in tasks]
    return max(set(found), key=found.count) if found else ""


def _quotes(figures: list[Figure]) -> str:
    """Every reported figure with where it was read, as a list."""
    lines = []
    for figure in figures:
        scores = [
            f"{title} {getattr(figure, metric):.1f}"
            for metric, title in METRICS.items()
            if getattr(figure, metric, None) is not None
        ]
        seen = "verified" if figure.verified else "not verified"
        epoch = {"last": "last epoch", "best": "best epoch on the test set"}.get(figure.selection, "")
        source = "; ".join(text for text in (figure.quoted_from, seen, epoch, figure.note) if text)
        where = f"{task_title(figure.task)} ({figure.regime} regime)"
        mark = "" if figure.verified else " (?)"
        linked = REPOSITORY.sub(lambda found: f"[{found[1]}](https://github.com/{found[1]})", escape_markdown(source))
        lines.append(f"- {escape_markdown(where)}: **{', '.join(scores)}**{mark}, {linked}")
    return "\n".join(lines)


def _paper(name: str, paper: dict[str, Any]) -> None:
    left, right = st.columns([3, 2])
    with left:
        st.markdown(f"**{escape_markdown(paper['title'])}**")
        st.markdown(escape_markdown(f"{', '.join(paper['authors'])}. {published_in(paper)}."))
        places = [("https://doi.org/", paper["doi"], "DOI"), ("https://arxiv.org/abs/", paper["arxiv"], "arXiv")]
        links = [(title, base + value) for base, value, title in places if value]
        if paper["url"].startswith(("https://", "http://")):
            links.append(("web page", paper["url"]))
        with st.container(horizontal=True):
            for title, address in links:
                st.link_button(title, address, icon=":material/open_in_new:", type="tertiary")
        kind = "Faithful" if paper["fidelity"] == "faithful" else "Reconstructed"
        unstated = "What it leaves open stands below." if paper["choices"] else "No choice had to be made."
        open_points = paper["notes"] or unstated
        st.markdown(f"**{kind}.** {escape_markdown(open_points)}")
    with right:
        st.code(bibtex(name, paper), language="latex", wrap_lines=True)
    if paper["choices"]:
        st.markdown("**What the paper leaves open, and what was chosen**")
        lines = [
            f"- {escape_markdown(choice['what'])}: **{escape_markdown(choice['chosen'])}** "
            f":gray[{escape_markdown(choice['reason'])}]"
            for choice in paper["choices"]
        ]
        st.markdown("\n".join(lines))


def _parameters(document: dict[str, Any], regime: str) -> None:
    st.subheader("Parameters")
    regimes = list(document["regimes"])
    regime = url.segments("Regime", regimes, "regime", regime if regime in regimes else regimes[0])
    section = document["regimes"][regime]
    values = flat(document["params"]) | flat(section["params"])
    meaning = _described(document["algorithm"], document["name"], document["params"] | section["params"])
    rows = [
        {"parameter": f"params.{key}", "value": value_text(value), "meaning": meaning.get(key, "")}
        for key, value in values.items()
        if key
    ]
    compute = fields(Compute, section["compute"])
    rows += [
        {"parameter": f"compute.{key}", "value": value_text(value), "meaning": compute.get(key, "")}
        for key, value in flat(section["compute"]).items()
    ]
    rows += [
        {"parameter": f"init.{key}".rstrip("."), "value": value_text(value), "meaning": "what a run starts from"}
        for key, value in flat(section["init"]).items()
        if value not in (None, [], [0])
    ]
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        column_config={"meaning": st.column_config.TextColumn("meaning and unit", width="large")},
        height="content",
        alt="Parameters",
    )
    for target, change in section["targets"].items():
        changed = ", ".join(
            f"{key} = {value_text(value)}" for key, value in flat(change).items() if key and value != {}
        )
        st.caption(escape_markdown(f"On {target}: {changed}"))


def _code(algorithm: str) -> None:
    """The file of the algorithm, if it is one of the project's."""
    module, _, name = algorithm.partition(":")
    try:
        found = find_spec(module)
        path = Path(found.origin) if found and found.origin else None
        if path is None or not path.resolve().is_relative_to(project().resolve()):
            return
        text = read_text(path)
    except (ImportError, ValueError, UserError):
        return
    with st.expander(f"Code: {name} in {path.resolve().relative_to(project().resolve())}", icon=":material/code:"):
        st.code(text, "python", height=560)


def _described(algorithm: str, method: str, values: Mapping[str, Any]) -> dict[str, str]:
    """The descriptions that the algorithm's own parameter model gives, if it can be imported."""
    try:
        return fields(import_algorithm(algorithm, project() / "methods" / f"{method}.yaml"), values)
    except UserError:
        return {}


def fields(model: type[BaseModel], values: Mapping[str, Any], path: str = "") -> dict[str, str]:
    """Return the descriptions of a model's fields, by dotted name; of a part, those of the kind that `values` state."""
    found: dict[str, str] = {}
    for name, field in model.model_fields.items():
        key = f"{path}.{name}" if path else name
        found[key] = (field.description or "").replace("`", "")
        value = values.get(name)
        inner = _model(field.annotation, value)
        if inner is not None:
            found |= fields(inner, value if isinstance(value, Mapping) else {}, key)
            if "kind" in inner.model_fields:
                found[f"{key}.kind"] = inspect.cleandoc(inner.__doc__ or found[key]).splitlines()[0]
    return found


def _model(annotation: Any, value: Any) -> type[BaseModel] | None:
    """The model of a nested value: the only one there is, or of several kinds the one that it names."""
    kinds = get_args(annotation) or (annotation,)
    models = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
    named = value.get("kind") if isinstance(value, Mapping) else None
    if len(models) > 1:
        models = [kind for kind in models if named in get_args(kind.model_fields["kind"].annotation)]
    return models[0] if models else None


if __name__ == "__main__":
    page()
