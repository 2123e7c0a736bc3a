"""What happens beside the database: jobs that run now, and results that wait to be taken in."""

from __future__ import annotations

import streamlit as st

from harness.errors import UserError
from harness.leaderboard.frame import link
from harness.leaderboard.state import project, read, refuse, store
from harness.store import live, views
from harness.tables.addresses import Runs


def show() -> None:
    """Say what runs and what waits, if anything does."""
    waiting = live.untaken(project(), store())
    running = sum(status.state == "running" for status in live.tried(project()).values())
    if not waiting and not running:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        if running:
            link(Runs(state=("running",)), f"{running} running")
        if waiting:
            some = "1 new result" if len(waiting) == 1 else f"{len(waiting)} new results"
            st.button(f"{some}: take {'it' if len(waiting) == 1 else 'them'} in", icon=":material/move_to_inbox:",
                      on_click=_take_in, help=", ".join(waiting[:12]))  # fmt: skip
    if message := st.session_state.pop("take in", ""):
        refuse(message)


def _take_in() -> None:
    from harness.store import ingest  # reads specs and results: only when it is asked for

    try:
        ingest(project())
    except UserError as error:
        st.session_state["take in"] = str(error)


def default_task() -> str:
    """Return the task with most runs computed here, counting those of its target; else that with most results."""
    tasks = read(views.tasks)
    own = read(views.own_runs)
    counts = {task.name: own.get(task.name, 0) for task in tasks}
    total = {task.name: counts[task.name] + (counts.get(task.target, 0) if task.source else 0) for task in tasks}
    return max(tasks, key=lambda task: total[task.name]).name  # of equals the first: tasks come by results
