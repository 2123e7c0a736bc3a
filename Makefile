# `make`       sets up .venv, runs the starter pairings of the drawn benchmark, prints the leaderboard
# `make full`  runs every planned pairing (what `dvc repro` does)
# `make test`  sets up and runs the tests      `make app`  opens the leaderboard
# Every target is safe to repeat and does only what is missing.

PYTHON ?= python3.11
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export SHELL := /bin/bash
export DVC_NO_ANALYTICS := 1

.PHONY: starter full test app lint
.DEFAULT_GOAL := starter

$(BIN)/.installed: pyproject.toml
	@echo "Setting up .venv (about 8 GB with CUDA libraries; a few minutes the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

starter: $(BIN)/.installed
	dvc repro --keep-going $$(harness list pairings --starter --stages)
	@harness leaderboard

full: $(BIN)/.installed
	dvc repro --keep-going
	@harness leaderboard

test: $(BIN)/.installed
	$(BIN)/python -m pytest

app: $(BIN)/.installed
	@harness leaderboard > /dev/null  # takes in what is new; the app itself only reads
	$(BIN)/streamlit run app.py

lint: $(BIN)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
