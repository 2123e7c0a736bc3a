"""Page: matrix."""

import streamlit as st


def page() -> None:
    """Draw the page."""
    st.title("matrix")


if __name__ == "__main__":
    page()
