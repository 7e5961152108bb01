# GNU make 3.81 or newer, Linux or macOS, and Python 3.10-3.13. Everything else is installed into .venv.

SHELL := /bin/sh
BIN := .venv/bin
PORT ?= 8080
SIMULATOR_PORT ?= 8085

# What a shell may carry for another project must not change what happens here.
unexport PYTHONPATH PYTHONHOME PYTHONWARNINGS PYTHONDONTWRITEBYTECODE PYTHONOPTIMIZE PYTHONSTARTUP PYTHONUSERBASE
unexport PIP_USER PIP_TARGET PIP_PREFIX PIP_ROOT PIP_CONSTRAINT PIP_REQUIRE_VIRTUALENV VIRTUAL_ENV
export PYTHON PORT SIMULATOR_PORT

.DEFAULT_GOAL := help
.PHONY: help demo test test-all test-ui test-matrix bench ui lint constraints clean venv

help: ## list what make can do
	@echo "make <target>   (PYTHON=/path/to/python3.12 chooses the Python)"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' Makefile

demo: venv ## submit 250 sample profiles from a real Airflow to a local IMIconnect simulator
	@$(BIN)/python dev/demo.py

test: venv ## run the tests; ARGS="-k csv -x" is handed to pytest
	@$(BIN)/python -m pytest -m "not slow and not ui" $(ARGS)

test-all: venv ## run every test, the slow ones too, and the kill suite and hypothesis in their long forms
	@IMICONNECT_TESTS=long $(BIN)/python -m pytest -m "not ui" $(ARGS)

test-ui: venv ## run an Airflow in a real browser (needs Chromium); ARGS=--screenshots renews docs/images
	@$(BIN)/python -m pytest -m ui tests/browser $(ARGS)

test-matrix: venv ## run the tests on every Airflow and Python; ARGS="-t airflow-3.1" or "-t oldest newest" chooses
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt --group matrix
	@$(BIN)/nox $(ARGS)

bench: venv ## measure what must hold; ARGS="waiting --json figures.json" takes one benchmark and keeps its figures
	@$(BIN)/python tests/benchmarks/run.py $(ARGS)

ui: venv ## the same Airflow with its web pages (PORT=8080) and the simulator (SIMULATOR_PORT=8085)
	@$(BIN)/python dev/ui.py

lint: venv ## check style, types and which module may import which
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

constraints: ## renew constraints.txt from pyproject.toml (needs uv)
	@sh dev/constraints.sh

clean: ## remove .venv, .demo and everything else that make made
	@rm -rf .venv .nox .demo dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find airflow_imiconnect dags dev tests -name __pycache__ -type d -prune -exec rm -rf {} +

venv:
	@sh dev/venv.sh
