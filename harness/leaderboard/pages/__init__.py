"""The pages of the leaderboard, one file each; Streamlit runs a page's file for every visit."""
