# GNU make 3.81 or newer, Linux or macOS, and Python 3.10-3.13. Everything else is installed into .venv.

SHELL := /bin/sh
BIN := .venv/bin
PORT ?= 8080
SIMULATOR_PORT ?= 8085
PARALLEL ?= -n auto

# Variables that the shell has set for another project must not have an effect here.
unexport PYTHONPATH PYTHONHOME PYTHONWARNINGS PYTHONDONTWRITEBYTECODE PYTHONOPTIMIZE PYTHONSTARTUP PYTHONUSERBASE
unexport PIP_USER PIP_TARGET PIP_PREFIX PIP_ROOT PIP_CONSTRAINT PIP_REQUIRE_VIRTUALENV VIRTUAL_ENV
export PYTHON PORT SIMULATOR_PORT

.DEFAULT_GOAL := help
.PHONY: help demo test test-all test-ui test-matrix mutants bench ui lint dist sbom constraints clean venv

help: ## list the targets
	@echo "make <target>   (PYTHON=/path/to/python3.12 chooses the Python)"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' Makefile

demo: venv ## submit 250 sample profiles from a real Airflow to a local IMIconnect simulator
	@$(BIN)/python dev/demo.py

test: venv ## run the tests; ARGS="-k csv -x" is passed to pytest
	@$(BIN)/python -m pytest $(PARALLEL) -m "not slow and not ui" $(ARGS)

test-all: venv ## run all tests, including the slow ones, and the long versions of the kill suite and hypothesis
	@IMICONNECT_TESTS=long $(BIN)/python -m pytest $(PARALLEL) -m "not ui" $(ARGS)

test-ui: venv ## test Airflow's web UI in a real browser (needs Chromium); ARGS=--screenshots renews docs/images
	@$(BIN)/python -m pytest -m ui tests/browser $(ARGS)

test-matrix: venv ## run the tests on every Airflow and Python; ARGS="-t airflow-3.1" or "-t oldest newest" selects
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt --group matrix
	@$(BIN)/nox $(ARGS)

mutants: venv ## change the code in 150 places, one at a time: do the tests notice? ARGS="--sample 300 --seed 7"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt --group mutants
	@$(BIN)/python dev/mutants.py $(ARGS)

bench: venv ## run the benchmarks; ARGS="waiting --json figures.json" runs one and saves its figures
	@$(BIN)/python tests/benchmarks/run.py $(ARGS)

ui: venv ## run Airflow with its web UI (PORT=8080) and the simulator (SIMULATOR_PORT=8085)
	@$(BIN)/python dev/ui.py

lint: venv ## check style, types, the import rules and the GitHub workflows
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/zizmor --quiet --offline --no-progress .github
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/*.yml

dist: venv ## build the wheel and the source archive into dist/, and check them as the package index will
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt --group release
	@rm -rf dist
	@$(BIN)/python -m build --no-isolation
	@$(BIN)/twine check --strict dist/*

sbom: dist ## list what an installation of the wheel in dist/ brings along: build/sbom.cdx.json (CycloneDX)
	@sh dev/sbom.sh $(BIN)

constraints: ## renew constraints.txt from pyproject.toml (needs uv)
	@sh dev/constraints.sh

clean: ## remove .venv, .demo and everything else that make has created
	@rm -rf .venv .nox .demo mutants dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find airflow_imiconnect dags dev tests -name __pycache__ -type d -prune -exec rm -rf {} +

venv:
	@sh dev/venv.sh
