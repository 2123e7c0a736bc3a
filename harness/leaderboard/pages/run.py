"""Page: one run: its scores, curves, record, and the command that reproduces it."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import streamlit as st

from harness.leaderboard import curves, url
from harness.leaderboard.frame import link
from harness.leaderboard.state import project, read
from harness.store import views
from harness.store.run_files import BrokenResultError, read_attempt
from harness.store.tables import Attempt, Run
from harness.tables.columns import METRICS
from harness.tables.formats import escape_markdown
from harness.tables.text import commands, duration, flat, to_yaml, value_text

LOG_LINES = 12


def page() -> None:
    """Draw the page."""
    st.title("Runs")
    keys = read(views.run_keys)
    if not keys:
        st.info("There is no run yet. `make` runs the starter pairings, `make full` the whole plan.")
        return
    key = url.select("Run", keys, "run", help="method __ task __ seed; type to search")
    run, attempts = read(views.run, key), read(views.attempts, key)
    if attempts and attempts[0].status == "running":
        _live(attempts[0].path)
    if run is None:
        _unfinished(attempts)
        _reproduce(key)
        return
    _scores(run)
    detail = read(views.run_detail, key)
    if detail is not None:
        curves.show({key: detail.history}, "run")
        _reproduce(key)
        left, right = st.columns(2)
        with left:
            st.subheader("Record")
            _record(run, detail.record)
        with right:
            st.subheader("Spec as it ran")
            st.code(to_yaml(detail.record["spec"]), language="yaml", height=560)
    _attempts(attempts)
    with st.container(horizontal=True):
        link("queries", "Browse its queries", task=run.task, run=key)
        link("compare", "Compare it", task=run.task, of=key)
        link("methods", "Its method", method=run.method)
        link("datasets", "Its dataset", dataset=run.target)


def _scores(run: Run) -> None:
    if run.stale:
        st.warning(
            f"Outdated: {escape_markdown(run.stale)}. `harness run {run.key}` renews it.", icon=":material/update:"
        )
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


def _unfinished(attempts: list[Attempt]) -> None:
    if not attempts:
        st.info("It has not been started: the command below runs it.")
        return
    last = attempts[0]
    if last.status in ("failed", "interrupted"):
        reason = f"{last.reason or last.status}: {last.message}" if last.message else last.reason or last.status
        st.error(f"{last.stage.title()} {last.status}: {escape_markdown(reason)}", icon=":material/error:")
        if last.log_tail:
            st.caption("The end of its log")
            st.code(last.log_tail, language=None, height=260 if last.log_tail.count("\n") > LOG_LINES else "content")
    _attempts(attempts)


@st.fragment(run_every="3s")
def _live(path: str) -> None:
    """A running attempt's progress, read from its own file: the database only changes at ingestion."""
    try:
        attempt = read_attempt(project() / path)
    except (BrokenResultError, OSError):
        st.info("This attempt's file is gone; run `harness leaderboard` to bring the database up to date.")
        return
    if attempt.status != "running":
        st.info(f"It has {attempt.status}. Run `harness leaderboard` to see the result.")
        return
    silent = (datetime.now(UTC) - attempt.updated).total_seconds()
    text = f"{attempt.stage}: epoch {attempt.epoch} of {attempt.epochs}, {duration(attempt.seconds)} so far"
    if silent > 120:
        text += f"; no sign of life for {duration(silent)}"
    st.progress(min(1.0, attempt.epoch / attempt.epochs) if attempt.epochs else 0.0, text=escape_markdown(text))


def _reproduce(key: str) -> None:
    st.subheader("Reproduce it")
    st.code(commands(key), language="bash")


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


def _attempts(attempts: list[Attempt]) -> None:
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
