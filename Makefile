# `make`       sets up .venv, runs the starter pairings of the drawn benchmark, prints the leaderboard
# `make full`  runs every planned pairing (as `dvc repro` does, several at once)
# `make test`  sets up and runs the tests      `make app`   opens the leaderboard
# `make lint`  what must be clean              `make docs`  builds the documentation site
# `make lock`  resolves the dependencies of pyproject.toml anew; `make lock UPGRADE=1` takes the newest of each
# `make audit` asks PyPI for known vulnerabilities of the locked dependencies
# Every target is safe to repeat and does only what is missing.

PYTHON ?= python3.11
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export SHELL := /bin/bash
export DVC_NO_ANALYTICS := 1

.PHONY: starter full test app lint docs lock audit
.DEFAULT_GOAL := starter

PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# Every version is the lock's, checked by its hash. pip installs uv, which installs the rest several times as fast;
# where uv cannot (behind a mirror that only pip is told of), pip does it all.
$(BIN)/.installed: pyproject.toml requirements.lock
	@echo "Setting up .venv (about 8 GB with CUDA libraries; up to a few minutes the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) --require-hashes -r <(awk '/^[^ ]/ { uv = /^uv==/ } uv' requirements.lock)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock || \
	  $(PIP) --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

starter: $(BIN)/.installed
	harness run --starter
	@harness leaderboard

full: $(BIN)/.installed
	harness run
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

docs: $(BIN)/.installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict
	@echo "build/site/index.html"

lock: $(BIN)/.installed
	$(BIN)/uv pip compile --quiet --no-config pyproject.toml --all-extras --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-emit-find-links $(if $(UPGRADE),--upgrade) \
	  --custom-compile-command 'make lock' --output-file requirements.lock

# It sends the names and versions of all dependencies to PyPI, so nothing else runs it. Strict: a dependency that could
# not be looked up is a failure, not silence.
audit: $(BIN)/.installed
	$(BIN)/uvx pip-audit --strict --require-hashes --disable-pip -r requirements.lock
