"""What tells results apart: nothing here computes a result, so no run depends on it."""
