"""The leaderboard in the browser: `streamlit run app.py` serves it, and runs this file again for every visitor."""

from harness.leaderboard.frame import frame

frame()
