"""The leaderboard: pages (Streamlit) and the same tables as text for terminal, papers and static publishing."""
