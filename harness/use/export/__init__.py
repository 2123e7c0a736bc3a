"""A trained network as a file that other programs load, with what they must know, and proof that it is the same."""
