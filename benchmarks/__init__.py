"""Speed and memory against a reference written from the description, in one run: `python -m benchmarks NAME`."""
