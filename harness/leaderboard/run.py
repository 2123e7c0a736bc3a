"""Page: run."""

import streamlit as st


def page() -> None:
    """Draw the page."""
    st.title("run")


if __name__ == "__main__":
    page()
