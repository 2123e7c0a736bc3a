"""Page: compare."""

import streamlit as st


def page() -> None:
    """Draw the page."""
    st.title("compare")


if __name__ == "__main__":
    page()
