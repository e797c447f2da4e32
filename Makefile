# Five verbs and nothing else to learn: install, demo, test, bench, check. Each sets up .venv first.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
DOCS   := $(VENV)/.installed-docs
LOWEST := .venv-lowest
ARGS   ?=

.PHONY: help install demo test test-slow test-lowest mutate bench bench-learning docs check format clean

help:            ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "robotkit needs Python 3.11 or newer; say which with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing robotkit into $(VENV) (a few minutes the first time) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

install: $(STAMP)  ## create .venv and install robotkit into it

demo: $(STAMP)     ## a simulated Franka arm learns to pick up a cube, in three processes
	@$(BIN)/robotkit-train demo $(ARGS)

test: check        ## style, types and the default tests; vendor libraries in processes of their own
	@$(BIN)/python -m tests $(ARGS)

test-slow: $(STAMP)  ## the long tests alone
	@$(BIN)/python -m pytest -m slow --timeout 3600 $(ARGS)

$(LOWEST)/.installed: pyproject.toml tests/lowest_versions.py
	@test -x $(LOWEST)/bin/python || $(PYTHON) -m venv $(LOWEST)
	@echo "Installing robotkit with its lowest versions into $(LOWEST) (several GB with a CUDA build of torch) ..."
	@$(LOWEST)/bin/python -m tests.lowest_versions constraints > $(LOWEST)/constraints.txt
	@$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check uv
	@$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python -c $(LOWEST)/constraints.txt \
	  -e '.[all,testing]' $$($(LOWEST)/bin/python -m tests.lowest_versions tools)
	@touch $@

test-lowest: $(LOWEST)/.installed  ## representative tests with the lowest versions that pyproject.toml allows
	@$(LOWEST)/bin/python -m tests.lowest_versions selection | \
	  xargs $(LOWEST)/bin/python -m pytest -W default -k 'not franka' $(ARGS)

mutate: $(STAMP)   ## which small changes to the source no test notices. ARGS="robotkit/safety --limit 50"
	@$(BIN)/python -m tests.mutation $(ARGS)

bench: $(STAMP)    ## measure; writes benchmarks/results/*.json and prints a table
	@$(BIN)/python -m benchmarks $(ARGS)

bench-learning: $(STAMP)  ## train what is missing of a table: ARGS="pick-cube-state --jobs 2" (docs/learning_benchmark.md)
	@$(BIN)/python -m benchmarks.learning run $(ARGS)

$(DOCS): $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@

docs: $(DOCS)      ## build the documentation site into site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet $(ARGS)
	@echo "The site is in site/: open site/index.html"

check: $(STAMP)    ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(STAMP)   ## let ruff rewrite what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:             ## remove .venv and caches
	rm -rf $(VENV) $(LOWEST) site .mypy_cache .ruff_cache .pytest_cache .mutation sims/__pycache__
