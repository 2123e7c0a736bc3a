"""What the documentation site generates from the code: spec keys, commands, Python API."""
