"""A trained run in use: features of any picture, search, a threshold with its error rates, export."""
