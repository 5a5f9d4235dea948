# Two targets do everything on a fresh machine with Python 3.11 or newer: `make demo` and `make test`.
# PYTHON chooses the interpreter, VENV the folder of the virtual environment.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help demo test test-live test-label-studio check bench format docs clean

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "pairloop needs Python 3.11 or newer; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' || { echo "this Python cannot make virtual environments; on Debian and Ubuntu: apt install python3-venv"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.python pyproject.toml constraints.txt
	@echo "installing pairloop and its dependencies into $(VENV) (torch is the large one) ..."
	$(PIP) install --quiet --constraint constraints.txt --editable '.[all]'
	@touch $@

$(VENV)/.developed: $(VENV)/.python pyproject.toml constraints.txt
	@echo "installing pairloop, its dependencies and the tools of development into $(VENV) ..."
	$(PIP) install --quiet --constraint constraints.txt --editable '.[all,dev]'
	@touch $(VENV)/.installed
	$(PIP) install --quiet --no-deps --editable examples/pairloop-inbox
	@touch $@

demo: $(VENV)/.installed  ## set up and run the demo campaign (offline once installed, about three minutes)
	$(BIN)/pairloop demo

test: $(VENV)/.developed  ## set up and run the tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not slow"

test-slow: $(VENV)/.developed  ## the longer sweeps, by hand
	$(BIN)/python -m pytest -m slow

LABEL_STUDIO ?= .venv-label-studio
$(LABEL_STUDIO)/.installed:
	$(PYTHON) -m venv $(LABEL_STUDIO)
	$(LABEL_STUDIO)/bin/python -m pip --disable-pip-version-check install --quiet 'label-studio==1.23.2'
	@touch $@

test-live: $(VENV)/.developed $(LABEL_STUDIO)/.installed  ## boot a real Label Studio, and show what only it can show
	$(BIN)/python tests/live/run.py $(LABEL_STUDIO)

test-label-studio: $(VENV)/.developed $(LABEL_STUDIO)/.installed  ## the same, with all tests of its backend
	$(BIN)/python tests/live/run.py $(LABEL_STUDIO) --all

check: $(VENV)/.developed  ## formatting, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.developed  ## format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.developed  ## the benchmarks, as ratios
	for script in benchmarks/startup.py benchmarks/selection.py benchmarks/round.py; do $(BIN)/python $$script || exit 1; done

docs: $(VENV)/.installed  ## regenerate the references from models, commands and docstrings
	$(BIN)/python -m pairloop.cli.config_reference > docs/configuration.md
	$(BIN)/python -m pairloop.cli.reference docs/cli.md
	$(BIN)/python -m pairloop.cli.api_reference > docs/api.md

clean:  ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
