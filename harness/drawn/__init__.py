"""The embedded benchmark: deterministic drawings of pedestrians and vehicles in the layouts of real datasets."""
