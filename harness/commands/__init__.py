"""What the commands of `harness` do, one file per command; `harness.cli` only parses arguments."""
