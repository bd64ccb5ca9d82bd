# The only list of commands; CI calls the same words and holds no logic of its own.
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
HOME_DIR ?= data
DEMO ?=
BI ?=
STAMP := $(VENV)/.locked
# Python keeps its bytecode: without, each process of a run compiles the same libraries again, half a minute of work.
unexport PYTHONDONTWRITEBYTECODE
# Three workers on the two cores of CI: some tests wait, for retries, servers, Airflow; a file, with what it makes once, stays on one.
WORKERS ?= -n 3 --dist loadfile --no-loadscope-reorder

.PHONY: help setup run test test-all nightly audit lint types wheel-check check bench up down bi bi-check docs clean
.DEFAULT_GOAL := help

help:  ## list these words
	@grep -E '^[a-z-]+:.*?## ' $(MAKEFILE_LIST) | awk -F ':.*?## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(STAMP)  ## create .venv from the locked, hashed requirements

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3,11) <= sys.version_info[:2] < (3,13))' || \
	  { echo "perfhouse needs Python 3.11 or 3.12; set PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || $(MAKE) --no-print-directory .venv-support
	$(PYTHON) -m venv $(VENV)
	@awk '/^uv==/{on=1} on{print} on && !/\\$$/{exit}' requirements.lock > $(VENV)/uv.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $(VENV)/uv.lock
	@echo "installing about 200 locked packages (once)"
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock || \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --offline --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $(STAMP)

.PHONY: .venv-support
.venv-support:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "python3-venv is missing: installing it"; apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null; \
	else echo "python3-venv is missing; run: sudo apt-get install python3-venv"; exit 1; fi

run: setup  ## the demo company through the real DAGs: scorecards, exports, cards
	@$(BIN)/perfhouse demo --out $(HOME_DIR)/demo $(DEMO)
	@$(BIN)/perfhouse airflow run --company $(HOME_DIR)/demo/company --data $(HOME_DIR)/demo/sources --home $(HOME_DIR)

test: setup  ## every test that needs no extra server, but the longest (nightly)
	$(BIN)/pytest -q $(WORKERS) -m "not server and not nightly"

test-all: setup  ## those that need a real server (tests/servers/packages.sh installs Debian's part)
	@tests/servers/install.sh
	$(BIN)/pytest -q $(WORKERS) -m "server and not nightly"

nightly: setup  ## what is too long for each commit: the longest tests, and Superset for real
	@tests/servers/install.sh
	$(BIN)/pytest -q $(WORKERS) -m nightly
	$(MAKE) --no-print-directory bi-check

audit: setup  ## locked packages against published advisories, where osv.dev can be reached
	@tests/servers/install.sh
	@tests/audit.sh

lint: setup  ## ruff (the compiled SQL is linted by the tests, which have a warehouse to compile against)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup  ## mypy, strict
	$(BIN)/mypy

wheel-check: setup  ## build the wheel, install it outside the checkout, import every module
	$(BIN)/python tests/wheel_check.py

check: lint types test wheel-check  ## what a commit must pass

bench: setup  ## measure the claims; writes benchmarks/results/
	$(BIN)/python -m benchmarks

up: setup  ## serve Airflow's UI with the DAGs unpaused, until Ctrl-C
	@$(BIN)/perfhouse demo --out $(HOME_DIR)/demo $(DEMO)
	@$(BIN)/perfhouse airflow up --company $(HOME_DIR)/demo/company --data $(HOME_DIR)/demo/sources --home $(HOME_DIR)

down: setup  ## stop an Airflow that `make up` left behind
	@$(BIN)/perfhouse airflow down --home $(HOME_DIR)

bi: setup  ## serve Superset with our dashboards of what `make run` published, until Ctrl-C
	@$(BIN)/python -m bi serve --home $(HOME_DIR) $(BI)

bi-check: setup  ## that Superset for real: import, rights, screenshots (minutes; for a nightly run)
	@test -e $(HOME_DIR)/published/scorecards.duckdb || $(MAKE) --no-print-directory run
	PERFHOUSE_BI_CHECK_HOME=$(HOME_DIR) $(BIN)/pytest -q tests/bi/check_superset.py

docs: setup  ## the documentation site in site/
	$(BIN)/mkdocs build --strict

clean:  ## remove what `make run` and the tests made (not .venv)
	rm -rf $(HOME_DIR) site dist build .pytest_cache .mypy_cache .ruff_cache
