"""Page: the runs as a live table, and one of them: scores, curves, record, and the commands that reproduce it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
import streamlit as st

from harness.leaderboard import curves, inspection, machines, notices, ranked, url
from harness.leaderboard.frame import link, name_window
from harness.leaderboard.state import project, read, store, task_title, task_titles
from harness.pipeline.status import Status
from harness.store import live, views
from harness.store.models import AttemptRow, Run, RunDetail
from harness.store.run_files import History
from harness.tables import addresses
from harness.tables.columns import METRICS
from harness.tables.formats import escape_markdown
from harness.tables.text import commands, duration, flat, to_yaml, value_text
from harness.tables.words import STATES

LOG_LINES = 12
ANY = "all"
GROUPS = {"runs": "every run", "methods": "seeds together"}


@dataclass(frozen=True)
class Line:
    """One row of the table."""

    key: str
    method: str
    task: str
    seed: int
    state: str
    note: str
    map: float | None
    started: datetime | None
    seconds: float | None
    device: str


def page() -> None:
    """Draw the page."""
    st.title("Runs")
    everything = _lines()
    if not everything:
        st.info("There is no run yet. `make` runs the starter pairings, `make full` the whole plan.")
        return
    url.check(addresses.Runs)
    notices.show()
    machines.show()
    shown = _filters(everything)
    known = {line.key: line for line in everything}
    asked = url.chosen("run")
    if asked and asked not in known:
        st.warning(f"The address asks for “{escape_markdown(asked[:80])}”, which is not known here (run).",
                   icon=":material/link_off:")  # fmt: skip
        url.state("run", "")
        asked = ""
    if any(line.state == "running" for line in everything):
        st.fragment(_table, run_every="5s")([line.key for line in shown])
    else:
        _table([line.key for line in shown])
    if not asked:
        st.caption("Choose a row: its curves, its record and the commands that reproduce it open below.")
        return
    _detail(known[asked], shown, everything)


def _lines() -> list[Line]:
    """Every finished run and every newest attempt, running ones first, then the newest."""
    tried = live.tried(project())
    titles = {method.name: method.title for method in read(views.methods)}
    lines: list[Line] = []
    for run in read(views.runs):
        trial = tried.pop(run.key, None)
        state, note = "published" if run.published else "elsewhere" if run.origin else "own", run.stale
        if trial is not None and trial.state != "finished":
            state, note = trial.state, trial.reason
        lines.append(
            Line(run.key, titles.get(run.method, run.method), run.task, run.seed, state, note, run.map, run.started,
                 run.seconds, run.device)
        )  # fmt: skip
    lines += [_tried(key, trial, titles) for key, trial in tried.items()]
    return sorted(lines, key=lambda line: (line.state != "running", line.state == "published",
                                           -(line.started.timestamp() if line.started else 0), line.key))  # fmt: skip


def _tried(key: str, trial: Status, titles: dict[str, str]) -> Line:
    method, task, seed = key.split("__")
    attempt = trial.attempt
    state, note = ("own", "not taken in yet") if trial.state == "finished" else (trial.state, trial.reason)
    spent = (attempt.started, attempt.seconds, attempt.device) if attempt else (None, None, "")
    return Line(key, titles.get(method, method), task, int(seed.removeprefix("s")), state, note, None, *spent)


def _filters(everything: Sequence[Line]) -> list[Line]:
    methods = {line.key.split("__")[0]: line.method for line in everything}
    tasks = sorted({line.task for line in everything})
    states = [state for state in STATES if any(line.state == state for line in everything)]
    titled = task_titles()
    left, middle, right = st.columns([2, 2, 2])
    with left:
        method = url.select("Method", [ANY, *sorted(methods)], "by", ANY, show=lambda name: methods.get(name, ANY))
    with middle:
        task = url.select("Task", [ANY, *tasks], "on", ANY, show=lambda name: ANY if name == ANY else titled(name))
    with right:
        text = url.search("Search keys", "q", placeholder="part of a key", icon=":material/search:")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = url.several("State", states, "state", states, show=STATES.__getitem__, pills=True, quiet=True)
        url.segments("Rows", list(GROUPS), "group", "runs", show=GROUPS.__getitem__)
    return [
        line
        for line in everything
        if method in (ANY, line.key.split("__")[0]) and task in (ANY, line.task) and text in line.key
        and line.state in chosen
    ]  # fmt: skip


def _table(keys: Sequence[str]) -> None:
    """The rows of these runs as they are now; a click opens one."""
    current = {line.key: line for line in _lines()}
    lines = [current[key] for key in keys if key in current]
    if not lines:
        st.info("No run matches these filters.")
        return
    together = st.session_state.get("group") == "methods"
    frame, opens = _grouped(lines) if together else _each(lines)
    state = f"runs:{together}:{len(lines)}:{lines[0].key}:{url.chosen('run')}"

    def opened() -> None:
        selection = st.session_state[state].selection
        rows = [row for row, _ in selection.cells] or selection.rows
        if rows:
            url.state("run", opens[rows[0]])
            st.session_state["runs opened"] = True

    st.dataframe(
        frame,
        hide_index=True,
        height="content" if len(frame) <= 10 else 385,
        placeholder="",
        on_select=opened,
        selection_mode=["single-row", "single-cell"],
        key=state,
        column_config={
            "method": st.column_config.TextColumn(pinned=True),
            "mAP": st.column_config.NumberColumn(format="%.1f"),
            "±": st.column_config.NumberColumn(format="%.1f"),
            "started": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm"),
        },
        alt="Runs, running ones first, then the newest",
    )
    st.caption(f"{len(frame)} rows")
    if st.session_state.pop("runs opened", False):
        st.rerun()  # a click within the live table draws only that again


def _each(lines: Sequence[Line]) -> tuple[pd.DataFrame, list[str]]:
    titled = task_titles()
    rows = [
        {
            "method": line.method, "task": titled(line.task), "seed": line.seed, "mAP": line.map,
            "state": STATES[line.state], "started": line.started,
            "duration": duration(line.seconds) if line.seconds is not None else "", "device": line.device,
            "note": line.note,
        }
        for line in lines
    ]  # fmt: skip
    return pd.DataFrame(rows), [line.key for line in lines]


def _grouped(lines: Sequence[Line]) -> tuple[pd.DataFrame, list[str]]:
    groups: dict[tuple[str, str], list[Line]] = {}
    for line in lines:
        groups.setdefault((line.key.split("__")[0], line.task), []).append(line)
    rows, titled = [], task_titles()
    for found in groups.values():
        maps = [line.map for line in found if line.map is not None]
        states = {state: sum(line.state == state for line in found) for state in STATES}
        rows.append({
            "method": found[0].method, "task": titled(found[0].task),
            "seeds": ", ".join(str(line.seed) for line in sorted(found, key=lambda line: line.seed)),
            "mAP": float(np.mean(maps)) if maps else None, "±": float(np.std(maps, ddof=1)) if len(maps) > 1 else None,
            "state": ", ".join(f"{n} {STATES[state]}" for state, n in states.items() if n),
            "started": max((line.started for line in found if line.started), default=None),
        })  # fmt: skip
    return pd.DataFrame(rows), [sorted(found, key=lambda line: line.seed)[0].key for found in groups.values()]


def _detail(line: Line, shown: Sequence[Line], everything: Sequence[Line]) -> None:
    key = line.key
    name_window(f"{line.method}, seed {line.seed} · {task_title(line.task)}")
    st.subheader(f"{escape_markdown(line.method)} on {escape_markdown(task_title(line.task))}, seed {line.seed}")
    _steps(key, shown, everything)
    st.caption(f"`{key}`")
    run, attempts = read(views.run, key), read(views.attempts, key)
    trial = live.tried(project()).get(key)
    if trial is not None and trial.state == "running":
        _live(key)
    if run is None:
        _unfinished(attempts, trial)
        _reproduce(key, None)
        return
    if trial is not None and trial.state in ("failed", "interrupted") and line.state == trial.state:
        st.error(f"The newest attempt {trial.state}: {escape_markdown(trial.reason)}", icon=":material/error:")
    _scores(run)
    detail = read(views.run_detail, key)
    if detail is not None:
        _curves(line, detail, everything)
        if not run.origin:
            _reproduce(key, run)
        _downloads(key, detail)
        left, right = st.columns(2)
        with left:
            st.subheader("Record")
            _record(run, detail.record)
        with right:
            st.subheader("Spec as it ran")
            st.code(to_yaml(detail.record["spec"]), language="yaml", height=560)
    inspection.show(run)
    _attempts(attempts)
    with st.container(horizontal=True):
        link(addresses.Queries(task=run.task, run=key), "Browse its queries")
        link(addresses.Compare(task=run.task, of=(key,)), "Compare it")
        link(addresses.Methods(method=run.method), "Its method")
        link(addresses.Datasets(dataset=run.target), "Its dataset")


def _steps(key: str, shown: Sequence[Line], everything: Sequence[Line]) -> None:
    """The run before and after in the table, and the other seeds."""
    keys = [line.key for line in shown]
    place = keys.index(key) if key in keys else -1
    prefix = key.rsplit("__s", 1)[0]
    seeds = sorted((line.seed, line.key) for line in everything if line.key.rsplit("__s", 1)[0] == prefix)
    with st.container(horizontal=True):
        st.button("All runs", icon=":material/close:", on_click=url.state, args=("run", ""), help="Close this run")
        for label, step, icon in (("Previous", -1, "chevron_left"), ("Next", 1, "chevron_right")):
            inside = place >= 0 and 0 <= place + step < len(keys)
            st.button(label, icon=f":material/{icon}:", disabled=not inside, on_click=url.state,
                      args=("run", keys[place + step] if inside else key))  # fmt: skip
        for seed, other in seeds if len(seeds) > 1 else []:
            st.button(f"seed {seed}", disabled=other == key, on_click=url.state, args=("run", other), key=f"to:{other}")


def _curves(line: Line, detail: RunDetail, everything: Sequence[Line]) -> None:
    prefix = line.key.rsplit("__s", 1)[0]
    others = [other.key for other in everything if other.key.rsplit("__s", 1)[0] == prefix and other.map is not None]
    histories: list[History] = [detail.history]
    if len(others) > 1:
        span = url.segments("Curves of", ["one", "all"], "seeds", "one",
                            show={"one": "this seed", "all": "all seeds, as a band"}.__getitem__)  # fmt: skip
        if span == "all":
            histories = [d.history for key in others if (d := read(views.run_detail, key)) is not None]
    curves.show({line.method: histories}, "run")


def _scores(run: Run) -> None:
    if run.stale:
        st.warning(
            f"Outdated: {escape_markdown(run.stale)}. `harness run {run.key}` renews it.", icon=":material/update:"
        )
    if run.origin:
        st.info(f"{escape_markdown(run.origin[0].upper() + run.origin[1:])}.", icon=":material/input:")
    if run.published:
        snapshot = read(views.snapshot)
        st.info(
            f"Published on {snapshot.published_written} by version {escape_markdown(snapshot.published_version)}; "
            "not computed on this machine.",
            icon=":material/cloud_done:",
        )
    with st.container(horizontal=True):
        for metric, title in METRICS.items():
            st.metric(title, f"{getattr(run, metric):.1f}", border=True)
        if run.best_map is not None:
            st.metric(
                "best epoch†", f"{run.best_map:.1f}", border=True,
                help=f"† mAP of epoch {run.best_epoch}, chosen with the test labels, as papers often do",
            )  # fmt: skip
        if run.chosen_map is not None:
            st.metric(
                "no labels‡", f"{run.chosen_map:.1f}", border=True,
                help=f"‡ mAP of epoch {run.chosen_epoch}, chosen without labels by a rule that was fixed beforehand",
            )  # fmt: skip


def _unfinished(attempts: list[AttemptRow], trial: Status | None) -> None:
    last = trial.attempt if trial else attempts[0] if attempts else None
    if last is None:
        st.info("It has not been started: the command below runs it.")
        return
    state = trial.state if trial else last.status
    if state in ("failed", "interrupted"):
        reason = trial.reason if trial else last.reason
        st.error(f"{last.stage.title()} {state}: {escape_markdown(reason)}", icon=":material/error:")
        if last.log_tail:
            st.caption("The end of its log")
            st.code(last.log_tail, language=None, height=260 if last.log_tail.count("\n") > LOG_LINES else "content")
    elif state == "trained":
        st.info("It is trained and not evaluated yet.")
    _attempts(attempts)


@st.fragment(run_every="3s")
def _live(key: str) -> None:
    """A running attempt's progress and curves, from its own files: the database only changes at ingestion."""
    trial = live.tried(project()).get(key)
    if trial is None or trial.attempt is None:
        st.info("This attempt's file is gone.")
        return
    attempt = trial.attempt
    if trial.state != "running":
        done = key in live.untaken(project(), store())
        st.info(f"It has ended: {STATES.get(trial.state, trial.state)}." + (" Take it in above." if done else ""))
        return
    text = f"{attempt.stage}: epoch {attempt.epoch} of {attempt.epochs}, {duration(attempt.seconds)} so far"
    if attempt.epoch and attempt.epochs:
        text += f", about {duration(attempt.seconds / attempt.epoch * (attempt.epochs - attempt.epoch))} to go"
    st.progress(min(1.0, attempt.epoch / attempt.epochs) if attempt.epochs else 0.0, text=escape_markdown(text))
    history = live.unfinished_history(project(), key)
    if history is not None:
        curves.show({"running": [history]}, f"live-{key}")


def _reproduce(key: str, run: Run | None) -> None:
    st.subheader("Reproduce it")
    if run is None:
        st.code(commands(key), language="bash")
        return
    maps = [other.map for other in read(views.runs, run.task, run.method)]
    expected = f"mAP {run.map:.1f}, Rank-1 {run.rank1:.1f}; to the last digit with the same versions on a CPU"
    if len(maps) > 1:
        expected += f", else within the spread over seeds (± {np.std(maps, ddof=1):.1f})"
    st.code(commands(key, run.code_version, expected), language="bash", wrap_lines=True)


def _downloads(key: str, detail: RunDetail) -> None:
    """The record, the history and the AP of every query as files."""
    files = {
        "Record": (f"{key}.record.json", "application/json", lambda: json.dumps(detail.record, indent=2)),
        "History": (f"{key}.history.csv", "text/csv", lambda: _history_csv(detail.history)),
        "Queries": (f"{key}.queries.csv", "text/csv", lambda: _queries_csv(key)),
    }
    with st.container(horizontal=True):
        for label, (name, mime, make) in files.items():
            st.download_button(label, make, file_name=name, mime=mime, on_click="ignore", type="tertiary",
                               icon=":material/download:", key=f"save:{name}")  # fmt: skip


def _history_csv(history: History) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(history)
    writer.writerows(zip(*history.values(), strict=True))
    return out.getvalue()


def _queries_csv(key: str) -> str:
    queries, _ = ranked.queries(key)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if queries:
        writer.writerow(["query", "ap", "first_hit", "identity", "camera", "path"])
        writer.writerows([q.index, q.ap, q.first_hit, q.identity, q.camera, q.path] for q in queries)
    else:
        writer.writerow(["query", "ap"])
        writer.writerows([i, "" if np.isnan(ap) else float(ap)] for i, ap in enumerate(views.ap(store(), key)))
    return out.getvalue()


def _record(run: Run, record: dict[str, object]) -> None:
    facts = {
        "code": run.code_version,
        "spec hash": run.spec_hash,
        "seed": str(run.seed),
        "protocol": run.protocol,
        "started": f"{run.started:%Y-%m-%d %H:%M} UTC",
        "duration": duration(run.seconds),
        "processor time": duration(run.cpu_seconds),
        "GPU time": duration(run.gpu_seconds) if run.gpu_seconds else "none",
        "peak memory": f"{run.peak_memory_gib:.1f} GiB",
        "speed": f"{run.images_per_second:.0f} images/s" if run.images_per_second else "",
        "BatchNorm groups": str(run.bn_groups),
        "precision": run.precision,
        "epochs": str(run.epochs),
        "interrupted and resumed": f"{run.resumed} times" if run.resumed else "never",
        "queries": f"{run.queries}, of which {run.queries_without_match} without a match",
        "gallery": str(run.gallery),
        "mAP, trapezoid": f"{run.map_trapezoid:.1f}",
    }
    facts |= {name: value_text(value) for name, value in flat(record["hardware"]).items()}
    facts |= {f"data {name}": value_text(value) for name, value in flat(record["data_hashes"]).items()}
    facts |= {f"version {name}": value_text(value) for name, value in flat(record["versions"]).items()}
    facts["started from"] = value_text(record["init"]).strip("[]")
    facts["notes"] = value_text(record["notes"]).strip("[]")
    rows = [(name, value) for name, value in facts.items() if value]
    st.dataframe(pd.DataFrame(rows, columns=["what", "value"]), hide_index=True, height=560, alt="The run's record")


def _attempts(attempts: list[AttemptRow]) -> None:
    if not attempts:
        return
    with st.expander(f"{len(attempts)} attempt{'s' * (len(attempts) > 1)}", icon=":material/history:"):
        rows = [
            {
                "started": f"{attempt.started:%Y-%m-%d %H:%M}",
                "stage": attempt.stage,
                "status": attempt.status,
                "reason": attempt.reason,
                "message": attempt.message,
                "epoch": f"{attempt.epoch} of {attempt.epochs}",
                "duration": duration(attempt.seconds),
                "device": attempt.device,
            }
            for attempt in attempts
        ]
        st.dataframe(pd.DataFrame(rows), hide_index=True, alt="Attempts, newest first")


if __name__ == "__main__":
    page()
