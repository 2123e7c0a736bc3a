"""Groups of commands of `harness`, one file each, and what they share. Thin, as `harness.cli` is."""
