"""Page: datasets."""

import streamlit as st


def page() -> None:
    """Draw the page."""
    st.title("datasets")


if __name__ == "__main__":
    page()
