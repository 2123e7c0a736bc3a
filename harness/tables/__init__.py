"""The leaderboard as tables: columns, formats, terminal and report, without Streamlit."""
