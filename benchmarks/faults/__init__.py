"""Injects faults and counts what survives: `python -m benchmarks faults`."""
