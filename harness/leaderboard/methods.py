"""Page: methods."""

import streamlit as st


def page() -> None:
    """Draw the page."""
    st.title("methods")


if __name__ == "__main__":
    page()
