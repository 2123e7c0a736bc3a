"""Bringing a dataset in: recognize, extract, verify, and register its images."""
