# On a bare machine with python3 (3.11 or later), pip, make, cc and git, every target does its own set-up first.

MAKEFLAGS += --no-print-directory --no-builtin-rules
SHELL := /bin/sh
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# uv does not read pip's configuration, and a folder of CPU-only wheels may be named only there.
LINKS = $(or $(PIP_FIND_LINKS),$(shell $(PYTHON) -m pip config get global.find-links 2>/dev/null))
FIND_LINKS = $(addprefix --find-links ,$(LINKS))

.PHONY: help setup demo deep test test-slow lint bench docs

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(READY) ## make the virtual environment, with everything in it

demo: $(READY) ## run the tour of the library
	@$(BIN)/python examples/demo.py

deep: $(READY) ## train plain networks of 100, 1,000 and 10,000 layers, about half an hour
	@$(BIN)/python examples/ten_thousand_layers.py

test: $(READY) ## run all tests but the slow ones
	@$(BIN)/python -m pytest -n 2 -m "not slow"

test-slow: $(READY) ## run the slow tests
	@$(BIN)/python -m pytest -n 2 -m slow

lint: $(READY) ## check format, style, types and layers
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

bench: $(READY) ## run the benchmarks
	@$(BIN)/python benchmarks/run.py

docs: $(READY) ## build the documentation site in build/site, and check its links
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@$(BIN)/python docs/_hooks/check_links.py build/site

# timm comes without its dependencies: torchvision, which only its image pipelines need, has no CPU build in every
# registry, and the others are there already. Without uv, pip does the same in more time.
$(READY): pyproject.toml constraints.txt
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	@if $(BIN)/python -m pip install -q -c constraints.txt uv; then \
		install="$(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python"; \
	else \
		install="$(BIN)/python -m pip install -q"; \
	fi; \
	set -e; \
	$$install $(FIND_LINKS) -c constraints.txt -e ".[all,dev,docs]"; \
	$$install -c constraints.txt --no-deps timm
	@touch $@
