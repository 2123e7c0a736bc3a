"""What a fleet is at on other machines, as its head last heard (`results/fleet.json`)."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from harness.fleet import snapshot
from harness.leaderboard.state import project
from harness.tables.formats import escape_markdown


def show() -> None:
    """Say what runs where, how far, and how long still, if there is a fleet; nothing else."""
    if snapshot.read_snapshot(project()) is not None:
        st.fragment(_fleet, run_every="5s")()


def _fleet() -> None:
    found = snapshot.read_snapshot(project())
    if found is None:
        return
    states = snapshot.counts(found)
    rest = snapshot.left(found)
    told = ", ".join(f"{number} {state}" for state, number in states.most_common())
    ends = f"; about {snapshot.duration(rest)} to go" if rest is not None else ""
    with st.expander(f"On other machines: {told or 'nothing given out'}{ends}", icon=":material/dns:"):
        rows = list(snapshot.table(found))
        st.dataframe(pd.DataFrame(rows, columns=["item", "machine", "state", "how far", "to go"]), hide_index=True)
        st.caption(f"Fleet {escape_markdown(found.fleet)}, as of {found.written:%Y-%m-%d %H:%M:%S} UTC; "
                   "`harness fleet status` asks anew.")  # fmt: skip
