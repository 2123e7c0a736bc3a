"""Page: queries."""

import streamlit as st


def page() -> None:
    """Draw the page."""
    st.title("queries")


if __name__ == "__main__":
    page()
