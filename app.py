"""The leaderboard in the browser: `streamlit run app.py` serves it, and runs this file again for every visitor."""

if __name__ == "__main__":
    from harness.leaderboard.frame import frame

    frame()
else:
    from streamlit.starlette import App

    from harness.leaderboard.server import warmed

    app = App(__file__, lifespan=warmed)
