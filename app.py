"""The leaderboard in the browser: `streamlit run app.py`."""

from harness.leaderboard.frame import frame

frame()
