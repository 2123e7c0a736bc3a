"""The train stage: gather the inputs, train epoch by epoch, write the run's files."""
