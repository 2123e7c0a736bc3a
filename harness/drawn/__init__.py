"""Drawn benchmark: synthetic pedestrians and vehicles, deterministic, in the layouts of real datasets."""
